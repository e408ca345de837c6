"""Pack many fitted models by key into one artifact, and predict with many of them at once."""
