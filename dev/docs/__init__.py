"""The documentation: its generated pages, and the code blocks that its tests check."""
