"""The neighbour services over HTTP."""
