"""Recorded days through the real engine, in one process and on virtual time."""
