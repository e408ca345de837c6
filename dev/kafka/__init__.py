"""A real Kafka broker or cluster on this machine, without Docker."""
