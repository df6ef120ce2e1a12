"""Journal, readers, lease and migrations on Postgres."""
