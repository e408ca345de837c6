"""Prometheus and a Pushgateway as child processes."""
