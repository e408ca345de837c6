"""What a person sees of it in a terminal."""
