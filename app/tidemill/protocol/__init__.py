"""The Open Inference Protocol V2 for gRPC; `python -m dev.protocol` generates the modules."""
