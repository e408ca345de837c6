"""States that an older version left behind: checkpoints, and a broker with topics and groups."""
