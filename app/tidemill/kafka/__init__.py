"""Everything that asks Kafka: clients, topics, consumer groups, lag."""
