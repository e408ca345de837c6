"""Show how many of its tasks Spark has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.periodic import PeriodicTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark import SparkContext

INTERVAL_S = 1.0


def watch_tasks(context: SparkContext, show: Callable[..., None], step: str) -> PeriodicTask:
    """Return a background task, to be entered, that shows a step with its progress: `3 of 8`."""
    tracker = context.statusTracker()

    def show_tasks() -> None:
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        running = [stage for stage in stages if stage]
        if running:
            done = sum(stage.numCompletedTasks for stage in running)
            show(step, tasks=f"{done} of {sum(stage.numTasks for stage in running)}")

    show(step)
    return PeriodicTask(INTERVAL_S, show_tasks, description="watch Spark's tasks")
