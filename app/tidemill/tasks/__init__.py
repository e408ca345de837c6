"""Run long tasks: accepted at once, run by workers, their results fetched later."""
