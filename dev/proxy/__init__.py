"""Run the HAProxy of `make up-serving` without Docker."""
