"""The query's checkpoint: its checksums, its offset log, our topic record and the stop marker."""
