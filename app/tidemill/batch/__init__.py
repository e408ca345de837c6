"""The same transform over what lies still."""
