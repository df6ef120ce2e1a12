"""The neighbour services, simulated on recorded prices."""
