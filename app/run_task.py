"""The entry point for a task of Databricks: see docs/deploy/databricks-tasks.md."""

from tidemill.tasks.databricks.program import main

if __name__ == "__main__":
    main()
