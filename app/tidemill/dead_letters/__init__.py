"""Dead letters: read, chosen, sent again."""
