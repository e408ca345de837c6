"""The checker of `make faults-tasks` finds what is wrong; the short campaign is in test/store."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from faults import report, task_checker
from faults.task_checker import Row
from faults.task_jobs import job_of
from faults.task_round import Round
from faults.tasks import entry, plan, table

if TYPE_CHECKING:
    from pathlib import Path

NOTES: list[dict[str, Any]] = [
    {"task": 0, "what": "begin", "at": 10.0, "worker": 1, "token": "x"},
    {"task": 0, "what": "begin", "at": 15.5, "worker": 2, "token": "y"},
    {"task": 0, "what": "end", "at": 16.0, "worker": 2, "token": "y"},
    {"task": 2, "what": "begin", "at": 10.0, "worker": 2, "token": "z"},
    {"task": 2, "what": "end", "at": 13.0, "worker": 2, "token": "z"},
]
ROWS = {
    0: Row("a", "succeeded", None, ('{"job":"square","result":{"square":0,"token":"y"}}',)),
    1: Row("b", "failed", "TaskCrashed: tried 2 times"),
    2: Row("c", "succeeded", None, ('{"job":"square","result":{"square":4,"token":"z"}}',)),
    3: Row("d", "cancelled", None),
    7: Row("e", "failed", "TaskTimedOut: the task did not end within 2 seconds"),
}
ANSWERS: list[dict[str, Any]] = [
    *({"task": task, "run": row.run} for task, row in ROWS.items()),
    {"task": 3, "cancelled": "running"},
]


class TestChecker:
    """The checker knows nothing of the package, and finds what is wrong."""

    def test_nothing(self) -> None:
        """Nothing is wrong if each task ended as it must."""
        assert task_checker.problems(ROWS, ANSWERS, NOTES, ROWS) == []

    @pytest.mark.parametrize(
        ("task", "row", "found"),
        [
            (0, None, "task 0 is lost"),
            (0, Row("other", "succeeded", None, ROWS[0].results), "task 0 is lost"),
            (0, Row("a", "running", None), "task 0 is stuck: running"),
            (0, Row("a", "succeeded", None), "task 0 has 0 results"),
            (0, Row("a", "succeeded", None, ROWS[0].results * 2), "task 0 has 2 results"),
            (0, Row("a", "succeeded", None, ROWS[2].results), "task 0 has another result"),
            (0, Row("a", "failed", "TaskCrashed: "), "task 0, square, ended as failed"),
            (1, Row("b", "failed", "TaskTimedOut: "), "task 1, die, ended as failed"),
            (1, Row("b", "failed", ROWS[1].error, ROWS[0].results), "task 1 failed, but has a"),
            (3, Row("d", "succeeded", None, ROWS[0].results), "task 3, unwanted, ended as succee"),
            (4, Row("f", "waiting", None), "task 4 was never answered"),
        ],
    )
    def test_wrong(self, task: int, row: Row | None, found: str) -> None:
        """A task that is lost, stuck, or ended otherwise than it must is named."""
        rows = {key: value for key, value in {**ROWS, task: row}.items() if value is not None}
        (problem,) = task_checker.problems(rows, ANSWERS, NOTES, {})
        assert problem.startswith(found)

    def test_two_runs(self) -> None:
        """A key that led to two runs is found."""
        (problem,) = task_checker.problems(ROWS, [*ANSWERS, {"task": 1, "run": "x"}], NOTES, {})
        assert problem == "task 1 has several runs for one key: ['b', 'x']"

    def test_changed(self) -> None:
        """A second result that replaced the first one is found."""
        before = {0: Row("a", "succeeded", None, ('{"result":{"square":0,"token":"x"}}',))}
        (problem,) = task_checker.problems(ROWS, ANSWERS, NOTES, before)
        assert problem.startswith("task 0 changed after its end")

    def test_recoveries(self) -> None:
        """The time counts from the kill of a task's worker until another one begins it again."""
        kills = [("worker", 12.0, 1), ("worker", 14.0, 2), ("client", 12.0, None)]
        assert task_checker.recoveries(NOTES, kills) == [("worker", 3.5)]

    def test_read(self, tmp_path: Path) -> None:
        """The tables are read as they are, also before there is any result."""
        with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection:
            connection.executescript(
                "CREATE TABLE tidemill_runs (key, id, state, error);"
                "CREATE TABLE tidemill_tables (name, live);"
                "INSERT INTO tidemill_runs VALUES ('task-7', 'a', 'succeeded', NULL);"
            )
            url = f"sqlite:///{tmp_path}/tasks.db"
            assert task_checker.read(url) == {7: Row("a", "succeeded", None)}
            connection.executescript(
                "INSERT INTO tidemill_tables VALUES ('task_results', 2);"
                "CREATE TABLE task_results__g2 (key, data);"
                "INSERT INTO task_results__g2 VALUES ('a', '{}');"
            )
            assert task_checker.read(url) == {7: Row("a", "succeeded", None, ("{}",))}

    def test_lines(self, tmp_path: Path) -> None:
        """A line that a kill has cut short is left out."""
        (tmp_path / "notes").write_text('{"task": 1}\n{"ta')
        assert task_checker.lines(tmp_path / "notes") == [{"task": 1}]
        assert task_checker.lines(tmp_path / "none") == []


def test_plan() -> None:
    """The kills are shared among rounds of both databases, with a server and without."""
    rounds = list(plan(300))
    kills = Counter((kind, strike) for kind, strikes in rounds for strike in strikes)
    assert kills.total() == 300
    assert kills["postgresql", "database"] > 10
    assert not kills["sqlite", "database"]
    assert kills["sqlite", "disk, full"] > 10
    assert kills["sqlite", "server"] > 10
    assert sum("server" in strikes for _, strikes in rounds) == 14
    assert sum(job_of(task) == "square" for task in range(100)) == 60


def test_report() -> None:
    """The page has the kills by database, how tasks ended, and how long they waited."""
    found = Round("sqlite", "HTTP", Counter({"worker": 3, "client": 1}), Counter(succeeded=7))
    found.recoveries = [("worker", 3.456), ("worker", 4.0)]
    kept = {**entry(found), "date": "2026-01-06T07"}
    other = {**kept, "database": "postgresql", "recoveries": [], "problems": ["task 1 is lost"]}
    text = report.tasks([json.loads(json.dumps(kept)), other])
    assert "8 kills until 2026-01-06. 14 tasks: 14 succeeded. **1** problems." in text
    assert "| worker | 3 | 3 | 2 | 3.5 | 4.0 | 4.0 |" in text
    assert "| client | 1 | 1 |  |  |  |  |" in text
    assert "Not run yet" in report.tasks([])
    assert "taken over within 4.0 s" in str(found)
    assert table([found]).row_count == 2
