"""The demo: broker, job, messages, answers."""
