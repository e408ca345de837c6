"""Run a job of Databricks as a task: start it, follow it, and fetch what it returns."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from tidemill import extras
from tidemill.errors import DatabricksRequestFailed, DatabricksRunFailed
from tidemill.tasks.databricks import states
from tidemill.tasks.databricks.output import last_task, result_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databricks.sdk.service.jobs import Run

    from tidemill.tasks.databricks.workspace import Workspace
    from tidemill.tasks.report import Report


class DatabricksJob:
    """A job of Databricks. A task is one run of it, however often the task is begun."""

    def __init__(
        self,
        job_id: int,
        *,
        json_parameter: str | None = None,
        table: str | None = None,
        profile: str | None = None,
        poll: float = 5,
    ) -> None:
        """Take the options of a job of the settings.

        Args:
            job_id: The id of the job in Databricks.
            json_parameter: Its parameter that gets all parameters of a task, as JSON. Without it,
                each of them is a parameter of its own.
            table: The feature table that it writes its result to, by the id of the task's run,
                which it then gets as its parameter `run`.
            profile: A section of `~/.databrickscfg`; without it, the SDK's own choice.
            poll: Seconds between two looks at a run.

        """
        self._job_id = int(job_id)
        self._json_parameter = json_parameter
        self._table = table
        self._profile = profile
        self._poll = poll
        self._done = 0.0

    def run(self, parameters: dict[str, Any], report: Report) -> dict[str, Any]:
        """Run the job in Databricks; return its output, and where to find the run.

        Raises:
            MissingExtra: databricks-sdk is not installed.
            DatabricksLoginFailed, DatabricksRequestFailed: The workspace refuses.
            DatabricksRunFailed, DatabricksOutputTruncated: The run failed, or its output is cut.

        """
        with extras.required("databricks"):
            from tidemill.tasks.databricks.workspace import Workspace  # noqa: PLC0415 - an extra
        workspace = Workspace(self._profile, lambda line: report(self._done, line))
        texts = self._texts(parameters, report.run)
        # The same key finds the same run: after a lost response, or after a killed worker.
        begin = partial(workspace.start, self._job_id, texts, report.key)
        run_id = None
        try:
            run_id = begin()
            run = self._follow(workspace, run_id, report)
        except SystemExit:
            # If only the worker stops, the run goes on, and the next attempt finds it.
            if report.cancelled:
                workspace.cancel(run_id or begin())
            raise
        return self._result(workspace, run_id, run)

    def _texts(self, parameters: Mapping[str, Any], run: str) -> dict[str, str]:
        """Return the parameters of the run: text as it is, and anything else as JSON."""
        if self._json_parameter is not None:
            parameters = {self._json_parameter: parameters}
        texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in parameters.items()}
        return texts | ({"run": run} if self._table else {})

    def _follow(self, workspace: Workspace, run_id: int, report: Report) -> Run:
        while True:
            run = workspace.look(run_id)
            self._done, phrase = states.progress(run)
            report(self._done, phrase)
            if states.has_ended(run):
                return run
            time.sleep(self._poll)

    def _result(self, workspace: Workspace, run_id: int, run: Run) -> dict[str, Any]:
        code = states.code(run)
        if code not in states.SUCCEEDED:
            hint = f"{states.HINTS.get(code, states.LOOK)} Its page: {run.run_page_url}"
            raise DatabricksRunFailed(run_id, code, _why(workspace, run), hint)
        last = last_task(run.tasks or ())
        output = workspace.output(last.run_id) if last and last.run_id else None
        return {
            "run_id": run_id,
            "page": run.run_page_url,
            "state": code,
            "table": self._table,
            "output": result_of(output, run_id) if output else None,
        }


def _why(workspace: Workspace, run: Run) -> str:
    """Return the exception of the first task that failed, or what Databricks says of the run."""
    raised = (task.run_id for task in run.tasks or () if states.code(task) in states.RAISED)
    if failed := next(raised, None):
        with suppress(DatabricksRequestFailed):  # the run's own message is less, but something
            output = workspace.output(failed)
            if output and output.error:
                return output.error
    return states.message(run)
