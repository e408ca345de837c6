"""A job between topics of its own, for tests and benchmarks."""
