"""Exactly-once delivery: partition ownership, transactions, committed offsets."""
