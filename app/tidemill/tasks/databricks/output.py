"""Find the result in the output of a run of Databricks."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tidemill.errors import DatabricksOutputTruncated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databricks.sdk.service.jobs import RunOutput, RunTask


def last_task(tasks: Iterable[RunTask]) -> RunTask | None:
    """Return the task that no other depends on, whose output is that of the run; None if several.

    Of a task that was tried several times, the last attempt counts.
    """
    latest = {each.task_key: each for each in sorted(tasks, key=_attempt)}
    needed = {needs.task_key for each in latest.values() for needs in each.depends_on or ()}
    last = [each for key, each in latest.items() if key not in needed]
    return last[0] if len(last) == 1 else None


def result_of(output: RunOutput, run_id: int) -> Any:  # noqa: ANN401 - any JSON value
    """Return what a notebook exited with, or what a program printed as `{"result": …}`.

    Text that is no JSON is returned as it is; None is returned if there is nothing.

    Raises:
        DatabricksOutputTruncated: The API returns only a part of it.

    """
    if notebook := output.notebook_output:
        if notebook.truncated:
            raise DatabricksOutputTruncated(run_id)
        with suppress(ValueError):
            return json.loads(notebook.result or "null")
        return notebook.result
    for line in reversed((output.logs or "").splitlines()):
        with suppress(ValueError):
            printed = json.loads(line)
            if isinstance(printed, dict) and list(printed) == ["result"]:
                return printed["result"]
    return None


def _attempt(task: RunTask) -> int:
    return task.attempt_number or 0
