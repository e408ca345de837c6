"""What older versions left behind: checkpoints, and the topics and groups of a broker."""
