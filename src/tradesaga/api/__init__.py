"""The REST API: translates, never decides."""
