"""Replay: the real engine on recorded prices, on virtual time, the same every time."""
