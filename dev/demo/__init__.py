"""The demo: run a broker and a job, send messages, and show the answers."""
