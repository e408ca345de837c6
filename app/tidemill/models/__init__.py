"""Read models.yaml, and load and run its models."""
