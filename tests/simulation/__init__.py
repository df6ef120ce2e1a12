"""The whole engine on virtual time."""
