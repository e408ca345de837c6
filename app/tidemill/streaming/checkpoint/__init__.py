"""A query's checkpoint: its files, their checksums, its offset log."""
