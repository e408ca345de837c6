"""The benchmark of tasks measures queues whose tasks all run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from bench import plots, task_tables, tasks
from bench.environments.environments import FOLDER
from bench.task_kills import Watch, kills
from bench.task_queues import CELERY_AGAIN, queues
from bench.task_turns import Size
from dev.redis import PROGRAM

if TYPE_CHECKING:
    from pathlib import Path

SIZE = Size(backlog=10, own=5, single=1, rounds=1, kills=False)
FIGURES = {
    "tasks/s": 1234.0,
    "CPU s": 0.0012,
    "submits/s": 56.0,
    "submit CPU s": 0.001,
    "p50 s": 0.0035,
    "p95 s": 0.25,
}
needs_peers = pytest.mark.skipif(
    shutil.which(PROGRAM) is None or not (FOLDER / "tasks" / "installed").exists(),
    reason="needs Redis and the peers, which `make bench-tasks` installs",
)


def check(figures: dict[str, Any]) -> None:
    """Check the figures of each queue."""
    for each in figures.values():
        assert each.keys() == FIGURES.keys()
        assert min(each.values()) >= 0
        assert each["p95 s"] >= each["p50 s"] > 0


class TestMeasure:
    def test_ours(self) -> None:
        """Without peers, ours runs a backlog and a single task."""
        found = tasks.measure(Console(quiet=True), SIZE, peers=False)
        check(found["queues"])
        assert [*found["queues"]] == ["Tidemill (SQLite)"]

    @pytest.mark.slow  # half a minute
    @needs_peers
    def test_peers(self) -> None:
        """All queues have figures but the one that is there for kills only."""
        found = tasks.measure(Console(quiet=True), SIZE)["queues"]
        check(found)
        assert len(found) == 7
        assert CELERY_AGAIN not in found


class TestKills:
    def test_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A task of ours whose process is killed, and one whose worker is, begin again and end."""
        monkeypatch.setattr("bench.task_kills.LONG_S", 0)
        monkeypatch.setattr("bench.task_kills.SHORT_S", 1)
        with queues(tmp_path, peers=False) as (queue,):
            quick = queue.environment | {"TIDEMILL__TASKS__TAKE_OVER": "2"}
            found = kills(queue._replace(environment=quick), Watch())
        assert found["long"] == 1
        assert found["ended"] == [True] * 3


class TestTables:
    def test_page(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The page has each queue's figures, and what became of its tasks."""
        monkeypatch.setattr(plots, "FOLDER", tmp_path)
        lost = {"worker": None, "process": 1.25, "long": 3}
        found = {
            "size": SIZE._asdict(),
            "load": [0.5, 1.0],
            "queues": {"Tidemill (SQLite)": FIGURES},
            "kills": {"Celery": lost},
        }
        page = task_tables.tasks(found)
        assert "| Tidemill (SQLite) | 1,234 | 1.2 | 3.5 | 250 | 56 | 1 |" in page
        assert "| Celery | not within 50 s | after 1.2 s | **begins 3 times** |" in page
        assert (tmp_path / "tasks.png").stat().st_size
