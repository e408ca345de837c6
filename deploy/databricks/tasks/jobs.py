"""Jobs of Databricks that run a class of Tidemill's tasks: created, and changed if they differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.databricks.deployment import same_name, typed
from deploy.databricks.documents import lost
from deploy.databricks.features.requests import Request
from deploy.databricks.features.tables import FeatureTable
from deploy.databricks.payload import fill_in, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import Job, JobSettings

    from deploy.databricks.features.requests import Resource
    from deploy.databricks.tasks.description import Description

TEMPLATE = Path(__file__).with_name("job.json")
# The driver alone runs a task, unless the environment asks for workers.
ALONE = {"MIN_WORKERS": "0", "MAX_WORKERS": "0"}
SINGLE_NODE = {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"}


def resources(
    description: Description, environ: Mapping[str, str], warehouse: str
) -> Iterator[Resource[Any]]:
    """Yield the feature table, and the jobs that write to it."""
    yield FeatureTable(description.results, warehouse)
    for name in description.jobs:
        yield DeployedJob(name, typed(settings(description, name, environ)))


def settings(description: Description, name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return a job's settings for the Jobs API.

    Raises:
        DeploymentError: Variables of the cluster are missing or wrong.

    """
    job = description.jobs[name]
    values = {
        "TASK_NAME": name,
        "TASK_CLASS": job.job,
        "TASK_OPTIONS": json.dumps(job.options),
        "TASK_TABLE": description.table,
    }
    filled: dict[str, Any] = replaced(json.loads(TEMPLATE.read_text(encoding="utf-8")), values)
    (task,) = filled["tasks"]
    task |= {"new_cluster": _cluster(name, environ), "timeout_seconds": job.timeout}
    return filled | {"max_concurrent_runs": job.concurrency}


def _cluster(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the cluster of the streaming job, by default without workers."""
    (task,) = fill_in(ALONE | dict(environ) | {"CLUSTER_NAME": name})["tasks"]
    cluster: dict[str, Any] = task["new_cluster"]
    if cluster["autoscale"]["max_workers"] == 0:
        del cluster["autoscale"]
        cluster["num_workers"] = 0
        cluster["spark_conf"] |= SINGLE_NODE
        cluster["custom_tags"] |= {"ResourceClass": "SingleNode"}
    return cluster


@dataclass(frozen=True, slots=True)
class DeployedJob:
    """A job of a name, which only one job of the workspace has."""

    name: str
    settings: JobSettings

    @property
    def what(self) -> str:
        """Its kind and name."""
        return f"job {self.name}"

    def find(self, client: WorkspaceClient) -> Job | None:
        """Return the job of this name.

        Raises:
            SeveralJobs: There are several.

        """
        job_id = same_name(client.jobs, self.name)
        return None if job_id is None else client.jobs.get(job_id)

    def requests(self, found: Job | None) -> list[Request]:
        """Return the request that creates it, or gives it its settings."""
        if found is None:
            fields = {name: getattr(self.settings, name) for name in self.settings.as_dict()}
            return [Request("jobs.create", fields)]
        has = found.settings.as_dict() if found.settings else {}
        if not any(lost(self.settings.as_dict(), has)):
            return []
        arguments = {"job_id": found.job_id, "new_settings": self.settings}
        return [Request("jobs.reset", arguments)]

    def waits_for(self, found: Job | None) -> str | None:
        """Return None: a job is ready at once."""
        return None if found else "missing"
