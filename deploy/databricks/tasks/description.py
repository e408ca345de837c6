"""Describe the jobs that run as tasks on Databricks, and the feature table of their results."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from deploy.databricks.features.description import FullName, Part, Table

JobName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
ClassPath = Annotated[str, StringConstraints(pattern=r"^\w+(\.\w+)*:\w+$")]
# As `tidemill.tasks.databricks.feature_table` writes them.
COLUMNS = {
    "run": "string",
    "job": "string",
    "result": "string",
    "time": "timestamp",
    "databricks_run": "bigint",
}


class TaskJob(Part):
    """A job, with the fields of the section `tasks.jobs` of Tidemill's settings.

    Attributes:
        job: The class, as `module:Class`; the image has its module.
        options: Arguments of the class; everybody who can see the job in Databricks sees them.
        timeout: How long a run may take, in seconds.
        concurrency: How many of its runs go on at once; others are queued.

    """

    job: ClassPath
    options: dict[str, Any] = Field(default={})
    timeout: int = Field(default=3600, ge=1)
    concurrency: int = Field(default=10, ge=1, le=1000)


class Description(Part):
    """All that is deployed."""

    table: FullName
    jobs: dict[JobName, TaskJob] = Field(min_length=1)

    @property
    def results(self) -> Table:
        """The feature table, which has a row for each run."""
        return Table(name=self.table, columns=COLUMNS, primary_key=("run",))
