"""Faults of the bus, the wire, Postgres and the nodes, done to the running product."""
