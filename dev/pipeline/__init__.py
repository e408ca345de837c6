"""A job with its own topics, for tests and benchmarks."""
