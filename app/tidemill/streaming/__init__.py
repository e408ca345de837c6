"""Kafka in, Kafka out, on Spark Structured Streaming."""
