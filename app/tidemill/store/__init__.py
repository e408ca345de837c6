"""Keep features and predictions in a database, and look them up by key."""
