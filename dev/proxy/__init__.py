"""Run the proxy of `make up-serving` without containers."""
