"""Tasks in an empty store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.store.store import Store
from tidemill.tasks.job import Job
from tidemill.tasks.tasks import Limits, Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    OpenTasks = Callable[..., Tasks]


@pytest.fixture
def open_tasks() -> Iterator[OpenTasks]:
    """Return what opens tasks with jobs of `long_jobs`: `open_tasks(url, Count={…})`."""
    stores: list[Store] = []

    def opened(url: str, **jobs: dict[str, object]) -> Tasks:
        stores.append(Store(url, timeout=60))  # also on a machine that pauses
        listed = [Job(name, f"long_jobs:{name}", **fields) for name, fields in jobs.items()]  # type: ignore[arg-type]
        return Tasks(stores[-1], listed, Limits(parameters=10_000, result=1000))

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """The URL of an empty store in SQLite, for what the database makes no difference to."""
    return f"sqlite:///{tmp_path}/tasks.db"
