"""Measure Tidemill's tasks beside Celery, procrastinate and Huey."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import task_kills
from bench.forecast import rounded
from bench.task_queues import CELERY_AGAIN, queues
from bench.task_turns import turn

if TYPE_CHECKING:
    from rich.console import Console

    from bench.task_turns import Size


def measure(console: Console, size: Size, *, peers: bool = True) -> dict[str, Any]:
    """Let all queues take turns, then kill their workers; return the figures of each queue."""
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder, queues(Path(folder), peers=peers) as found:
        turns: dict[str, list[dict[str, Any]]] = {}
        for number in range(size.rounds):
            for queue in found:
                if queue.name != CELERY_AGAIN:
                    taken = turn(queue, size)
                    turns.setdefault(queue.name, []).append(taken)
                    console.print(number + 1, queue.name, summary([taken]), highlight=False)
            load.append(os.getloadavg()[0])
        killed = task_kills.measure(found) if size.kills else {}
        console.print(killed, highlight=False)
    result: dict[str, Any] = rounded(
        {
            "size": size._asdict(),
            "load": load,
            "queues": {name: summary(taken) for name, taken in turns.items()},
            "kills": killed,
        }
    )
    return result


def summary(turns: list[dict[str, Any]]) -> dict[str, float]:
    """Return the medians of a queue's turns, and the percentiles of all its waits."""
    waits = sorted(wait for taken in turns for wait in taken["waits"])
    names = ("tasks/s", "CPU s", "submits/s", "submit CPU s")
    return {
        **{name: median(taken[name] for taken in turns) for name in names},
        "p50 s": waits[len(waits) // 2],
        "p95 s": waits[len(waits) * 95 // 100],
    }
