"""Read, select and replay dead letters."""
