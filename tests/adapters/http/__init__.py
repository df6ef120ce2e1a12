"""The HTTP clients of the neighbours."""
