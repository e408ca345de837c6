"""The compose stack as the container tests drive it."""
