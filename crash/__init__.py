"""The proof: real processes killed at every seam, and mutants that the same schedules catch."""
