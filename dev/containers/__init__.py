"""Drive the compose stack for the container tests."""
