"""The event bus on a real NATS server."""
