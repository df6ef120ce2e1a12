"""A sample of the proof with real processes."""
