"""Run models in separate processes."""
