"""A workspace, and a login of the SDK to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from job_runs_api import RunsWorkspace, log_in
from jobs_api import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def runs_workspace() -> Iterator[RunsWorkspace]:
    """A local workspace with one job, whose id is 101."""
    workspace = RunsWorkspace()
    workspace.add_job("fill")
    with serving(workspace) as served:
        yield served


@pytest.fixture
def login(runs_workspace: RunsWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log the SDK in to the workspace."""
    log_in(runs_workspace, tmp_path, monkeypatch)
