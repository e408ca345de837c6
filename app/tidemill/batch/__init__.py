"""Apply the transform to files."""
