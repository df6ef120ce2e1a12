"""Promises about the code itself: layers, limits, names, what may lie in the repository."""
