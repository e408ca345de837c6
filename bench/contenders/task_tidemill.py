"""Tidemill's tasks: the job, and a client that submits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.contenders import task_lines

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Parameters:
    """What a task gets."""

    number: int
    seconds: float


class Line:
    """Runs one task."""

    def run(self, parameters: Parameters, _report: Callable[..., None]) -> int:
        """Write the lines."""
        return task_lines.run(parameters.number, parameters.seconds)


def answer() -> None:
    """Submit what is asked for."""
    # The job's process imports this module, too, and needs none of these.
    from tidemill.store.store import Store  # noqa: PLC0415
    from tidemill.tasks.job import Job  # noqa: PLC0415
    from tidemill.tasks.tasks import Tasks  # noqa: PLC0415

    with Store(os.environ[task_lines.URL]) as store:
        tasks = Tasks(store, [Job("line", "bench.contenders.task_tidemill:Line")])
        tasks.job("line").schema  # noqa: B018 - made once
        task_lines.answer(
            lambda number, seconds: tasks.submit("line", {"number": number, "seconds": seconds})
        )
