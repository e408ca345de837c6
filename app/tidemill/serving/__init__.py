"""Answer requests over HTTP and gRPC."""
