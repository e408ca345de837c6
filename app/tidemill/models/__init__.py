"""models.yaml to loaded models; one file for each framework."""
