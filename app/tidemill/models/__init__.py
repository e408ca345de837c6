"""Read models.yaml and load its models."""
