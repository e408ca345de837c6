"""Wire each program, one file each. Keyword defaults are the real parts; unit tests pass fakes."""
