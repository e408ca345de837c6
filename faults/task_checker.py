"""Look for tasks that were lost, are stuck, or ended otherwise than they must.

This shares no code with the package: it reads the tables with the databases' own drivers.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg

from faults.task_jobs import ERRORS, job_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

LOOK_S: Final = 0.3
ENDED: Final = ("succeeded", "failed", "cancelled")
RUNS: Final = "SELECT key, id, state, error FROM tidemill_runs"
LIVE: Final = "SELECT live FROM tidemill_tables WHERE name = 'task_results'"


class Row(NamedTuple):
    """What the database has of a run; `results` has each recorded result."""

    run: str
    state: str
    error: str | None
    results: tuple[str, ...] = ()


def read(url: str) -> dict[int, Row]:
    """Return the runs by the numbers of their tasks."""
    results: dict[str, tuple[str, ...]] = {}
    with closing(_connect(url)) as connection:
        live = connection.execute(LIVE).fetchone()
        if live is not None:
            select = f"SELECT key, data FROM task_results__g{live[0]}"  # noqa: S608 - a number
            for run, data in connection.execute(select).fetchall():
                results[run] = (*results.get(run, ()), data)
        return {
            int(key.removeprefix("task-")): Row(run, state, error, results.get(run, ()))
            for key, run, state, error in connection.execute(RUNS).fetchall()
        }


def _connect(url: str) -> Any:  # noqa: ANN401 - either driver's connection
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)
        connection.execute("BEGIN")  # one state of the database
        return connection
    made = psycopg.connect(url, connect_timeout=10)
    made.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return made


class Observer:
    """Looks at the database all the time, and keeps how each run was when it had first ended."""

    def __init__(self, url: str) -> None:
        """Begin to look."""
        self.ended: dict[int, Row] = {}
        self._url = url
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(LOOK_S):
            with suppress(sqlite3.Error, psycopg.Error):  # the database may be away
                for task, row in read(self._url).items():
                    if row.state in ENDED:
                        self.ended.setdefault(task, row)

    def close(self) -> None:
        """Stop looking."""
        self._done.set()
        self._thread.join()


def lines(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON; one that a kill has cut short is left out."""
    found = []
    for line in file.read_text("utf-8").splitlines() if file.exists() else []:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def problems(
    rows: Mapping[int, Row],
    answers: Sequence[Mapping[str, Any]],
    notes: Iterable[Mapping[str, Any]],
    before: Mapping[int, Row],
) -> list[str]:
    """Return what is wrong, one line each; `before` is how runs were when they had just ended."""
    accepted: dict[int, set[str]] = {}
    for each in answers:
        if "run" in each:
            accepted.setdefault(each["task"], set()).add(each["run"])
    cancelled = {each["task"]: each["cancelled"] for each in answers if "cancelled" in each}
    tokens = {(each["task"], each["token"]) for each in notes if each["what"] == "end"}
    found = [f"task {task} was never answered" for task in rows.keys() - accepted.keys()]
    for task, runs in sorted(accepted.items()):
        row = rows.get(task)
        if len(runs) > 1:
            found.append(f"task {task} has several runs for one key: {sorted(runs)}")
        if row is None or row.run not in runs:
            found.append(f"task {task} is lost")
        elif row.state not in ENDED:
            found.append(f"task {task} is stuck: {row.state}")
        elif before.get(task, row) != row:
            found.append(f"task {task} changed after its end: {before[task]} became {row}")
        else:
            found += _wrong_end(task, row, cancelled.get(task), tokens)
    return found


def _wrong_end(
    task: int, row: Row, cancelled: str | None, tokens: set[tuple[int, str]]
) -> list[str]:
    """Return how a run has ended otherwise than it must."""
    job = job_of(task)
    if job in ERRORS:
        right = row.state == "failed" and (row.error or "").startswith(ERRORS[job])
    elif cancelled is not None and cancelled != "succeeded":
        right = row.state == "cancelled"
    else:
        right = row.state == "succeeded"
    if not right:
        return [f"task {task}, {job}, ended as {row.state}: {row.error}"]
    if row.state != "succeeded":
        return [f"task {task} failed, but has a result"] if row.results else []
    if len(row.results) != 1:
        return [f"task {task} has {len(row.results)} results"]
    result = json.loads(row.results[0])["result"]
    if result["square"] != task**2 or (task, result["token"]) not in tokens:
        return [f"task {task} has another result: {result}"]
    return []


def recoveries(
    notes: Sequence[Mapping[str, Any]], kills: Iterable[tuple[str, float, int | None]]
) -> list[tuple[str, float]]:
    """Return how long each interrupted task waited until it began again in another worker.

    A kill has a kind, a time, and the id of the worker's process.
    """
    by_task: dict[int, list[Mapping[str, Any]]] = {}
    for each in sorted(notes, key=lambda note: float(note["at"])):
        if job_of(each["task"]) != "die":  # which begins again in any case
            by_task.setdefault(each["task"], []).append(each)
    found = []
    for kind, at, worker in kills:
        for noted in by_task.values():
            before = [each["worker"] for each in noted if each["at"] <= at]
            again = [each["at"] for each in noted if each["at"] > at and each["what"] == "begin"]
            if before and again and before[-1] == worker:
                found.append((kind, float(again[0]) - at))
    return found
