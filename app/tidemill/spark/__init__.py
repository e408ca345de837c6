"""Run a model on Spark: the session, its workers, and the transform."""
