"""Ask a workspace about one run: start or find it, look at it, cancel it, fetch its output."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest

from tidemill.errors import DatabricksLoginFailed
from tidemill.tasks.databricks import api

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from databricks.sdk.core import Config
    from databricks.sdk.service.jobs import Run, RunOutput


class Workspace:
    """A workspace's Jobs API, with the login of the SDK's variables or of its file."""

    def __init__(self, profile: str | None, tell: Callable[[str], None]) -> None:
        """Log in; `profile` is a section of `~/.databrickscfg`. `tell` hears of failures that pass.

        Raises:
            DatabricksLoginFailed: There is no login, or it would be sent unencrypted.

        """
        self._briefly = api.Patience(tell)
        # A run that has started goes on while the API is away; the task's time-out ends the wait.
        self._for_long = api.Patience(tell, limit=math.inf)
        config = self._briefly.ask("cannot log in to Databricks", partial(_login, profile))
        if not api.is_safe(config.host or ""):
            raise DatabricksLoginFailed("the host is no URL that begins with https://")
        self._jobs = WorkspaceClient(config=config).jobs

    def start(self, job_id: int, parameters: Mapping[str, str], key: str) -> int:
        """Start a run, or find the one that was started with the same key; return its id."""
        start = partial(
            self._jobs.run_now,
            job_id,
            job_parameters=dict(parameters) or None,
            idempotency_token=key,
        )
        started = self._briefly.ask(f"cannot run the Databricks job {job_id}", start)
        return int(started.run_id)

    def look(self, run_id: int) -> Run:
        """Return a run as it is now."""
        look = partial(self._jobs.get_run, run_id)
        return self._for_long.ask(f"cannot read the Databricks run {run_id}", look)

    def output(self, run_id: int) -> RunOutput | None:
        """Return the output of a task's run; None for a kind of task that has none."""

        def output() -> RunOutput | None:
            with suppress(BadRequest):
                return self._jobs.get_run_output(run_id)
            return None

        return self._briefly.ask(f"cannot read the output of the Databricks run {run_id}", output)

    def cancel(self, run_id: int) -> None:
        """Cancel a run, which ends some time later."""
        cancel = partial(self._jobs.cancel_run, run_id)
        self._briefly.ask(f"cannot cancel the Databricks run {run_id}", cancel)


def _login(profile: str | None) -> Config:
    try:
        return api.config(profile=profile)
    except ValueError as error:
        raise DatabricksLoginFailed(api.reason(error)) from None
