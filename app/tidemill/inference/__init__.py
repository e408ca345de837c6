"""The pure core: one batch of messages in, one outcome for each out. No Spark, Kafka or HTTP."""
