"""Run a job of Databricks as a task."""

from tidemill.tasks.databricks.job import DatabricksJob

__all__ = ["DatabricksJob"]
