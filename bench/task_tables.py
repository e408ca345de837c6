"""The tables of bench/RESULTS.md about tasks."""

from __future__ import annotations

from typing import Any

from bench import plots
from bench.plots import picture
from bench.store_tables import digits
from bench.task_kills import LONG_S, SHORT_S, Watch
from bench.task_queues import OURS
from faults.round_tables import table

HEAD = [
    "",
    "tasks/s",
    "CPU ms a task",
    "begins after (p50), ms",
    "p95, ms",
    "submitted/s",
    "CPU ms to submit",
]
FALLEN = [
    "",
    f"worker killed: the task of {SHORT_S} s begins again",
    "its process killed: it begins again",
    f"a task of {LONG_S} s, nothing killed",
]


def tasks(found: dict[str, Any]) -> str:
    """Return tables of rates, of waits, and of what becomes of tasks after a kill."""
    queues = {name: found["queues"][name] for name in sorted(found["queues"], key=ours_first)}
    plots.tasks(queues)
    size, loads = found["size"], ", ".join(f"{load:.1f}" for load in found["load"])
    measured = (
        f"{size['rounds']} rounds of {size['backlog']:,} waiting tasks (Tidemill: {size['own']}), "
        f"and {size['single']} one at a time. The load average was {loads}: before the first "
        "round, and after each one. With more than 2, other programs had a share of the cores."
    )
    rows = [[name, *figures(each)] for name, each in queues.items()]
    parts = [measured, table(HEAD, rows)]
    if found["kills"]:
        names = sorted(found["kills"], key=ours_first)
        kills = [[name, *fallen(found["kills"][name])] for name in names]
        parts.append(table(FALLEN, kills))
    return "\n\n".join(parts) + picture("tasks")


def ours_first(name: str) -> tuple[bool, str]:
    """Order the names of queues."""
    return not name.startswith(OURS), name.lower()


def figures(each: dict[str, float]) -> list[str]:
    """Return the figures of a queue in the order of the table."""
    values = (
        each["tasks/s"],
        1000 * each["CPU s"],
        1000 * each["p50 s"],
        1000 * each["p95 s"],
        each["submits/s"],
        1000 * each["submit CPU s"],
    )
    return [digits(value) for value in values]


def fallen(each: dict[str, Any]) -> list[str]:
    """Return what became of the tasks of a queue."""
    watch = Watch()
    begins = "begins once" if each["long"] == 1 else f"**begins {each['long']} times**"
    return [after(each["worker"], watch.worker), after(each["process"], watch.process), begins]


def after(seconds: float | None, watched: float) -> str:
    """Return when a task began again."""
    return f"not within {watched:g} s" if seconds is None else f"after {seconds:.1f} s"
