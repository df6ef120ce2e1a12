"""Journal, readers and lease in the memory of one process: for replay and for tests."""
