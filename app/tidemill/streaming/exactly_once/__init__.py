"""The exactly-once protocol: outcomes and offsets in one transaction."""
