from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from job_runs_api import log_in
from jobs_api import EVERYWHERE
from tasks_api import TasksWorkspace, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a cluster needs, on a cloud that needs nothing else.
CLUSTER = {
    "DATABRICKS_CLOUD": "gcp",
    "IMAGE_NAME": "registry.example.com/tidemill:1",
    "INSTANCE_TYPE": "n2-standard-4",
    "SPARK_VERSION": EVERYWHERE["SPARK_VERSION"],
}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of the cluster, which are set."""
    for name, value in CLUSTER.items():
        monkeypatch.setenv(name, value)
    return dict(CLUSTER)


@pytest.fixture
def tasks_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TasksWorkspace]:
    """A local workspace with jobs of other names; the SDK is logged in to it."""
    with serving(TasksWorkspace()) as served:
        log_in(served, tmp_path, monkeypatch)
        for name, value in (CLUSTER | {"DATABRICKS_WAREHOUSE_ID": "w1"}).items():
            monkeypatch.setenv(name, value)
        yield served
