"""Write the records of a topic into a table of the store, each once."""
