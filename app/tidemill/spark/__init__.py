"""Run models on Spark: the session, its Python workers and the transform."""
