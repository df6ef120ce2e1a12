"""The whole system as processes, over HTTP, NATS and signals only."""
