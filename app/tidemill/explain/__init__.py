"""Explain what happens to one message: each step from its record to its outcome."""
