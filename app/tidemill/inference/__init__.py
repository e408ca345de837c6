"""Turn a batch of messages into one outcome each: the pure core, free of Spark, Kafka and HTTP."""
