"""Run models in a pool of processes, which all tasks of a machine or an executor share."""
