"""Keep one job of a name on Databricks, with the given settings and one run."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from databricks.sdk.service.jobs import JobSettings, RunLifeCycleState

from deploy.databricks.documents import lost
from deploy.databricks.errors import NotStarted, RunsNotEnded, SeveralJobs, UnknownToTheApi

if TYPE_CHECKING:
    from collections.abc import Callable

    from databricks.sdk.mixins.jobs import JobsExt
    from databricks.sdk.service.jobs import Run

    from deploy.databricks.workspace import Patience

POLL_S = 5.0
# Databricks starts the next run of a continuous job, after a pause that grows if runs fail.
START_TIMEOUT_S = 300.0
NEVER_RAN = {RunLifeCycleState.SKIPPED, RunLifeCycleState.INTERNAL_ERROR}


def typed(settings: dict[str, Any]) -> JobSettings:
    """Return a job's settings as an object of the SDK.

    Raises:
        UnknownToTheApi: The SDK does not know some of the fields or values.

    """
    known = JobSettings.from_dict(settings)
    if unknown := list(lost(settings, known.as_dict())):
        raise UnknownToTheApi(unknown)
    return known


def same_name(jobs: JobsExt, name: str) -> int | None:
    """Return the id of the job that has a name, None if there is none.

    Raises:
        SeveralJobs: Several have it.

    """
    # The API's filter ignores case.
    same = [job for job in jobs.list(name=name) if job.settings and job.settings.name == name]
    ids = [job.job_id for job in same if job.job_id is not None]
    if len(ids) > 1:
        raise SeveralJobs(name, ids)
    return ids[0] if ids else None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Deploys a job to a workspace.

    Attributes:
        jobs: The workspace's Jobs API.
        patience: Repeats requests while the API is busy or fails; it also prints and sleeps.
        timeout: Seconds that cancelled runs may take to end.
        clock: Returns seconds, to measure time-outs.

    """

    jobs: JobsExt
    patience: Patience
    timeout: float = 900.0
    clock: Callable[[], float] = time.monotonic

    def bring(self, settings: JobSettings) -> Run:
        """Create or update the job, cancel its runs, start a new run; return it.

        Raises:
            DeploymentError: The API refuses, or runs do not end or start.

        """
        job_id, old = self.patience.ask("cannot set up the job", lambda: self._put(settings))
        self._end(job_id, old)
        run_id = self._next(job_id, old) if settings.continuous else self._start(job_id)
        return self._check_started(job_id, run_id)

    def _put(self, settings: JobSettings) -> tuple[int, set[int]]:
        """Create or update the job; return its id, and its runs with the previous settings.

        Each attempt searches for the job first: the API may have created it although the request
        seemed to fail.
        """
        name = settings.name or ""
        found = same_name(self.jobs, name)
        if found is not None:
            old = self._active(found)
            self.jobs.reset(found, settings)
            self.patience.tell(f"job {found} ({name}) updated")
            return found, old
        # Do not send empty fields.
        given = {name: getattr(settings, name) for name in settings.as_dict()}
        job_id = self.jobs.create(**given).job_id or 0
        self.patience.tell(f"job {job_id} ({name}) created")
        return job_id, set()

    def _active(self, job_id: int) -> set[int]:
        runs = self.jobs.list_runs(job_id=job_id, active_only=True)
        return {run.run_id for run in runs if run.run_id is not None}

    def _end(self, job_id: int, old: set[int]) -> None:
        """Cancel runs and wait until they have ended."""
        for run_id in sorted(old):
            self.patience.tell(f"cancelling run {run_id}")
            cancel = partial(self.jobs.cancel_run, run_id)
            self.patience.ask(f"cannot cancel run {run_id}", cancel)
        if old:
            self.patience.tell("waiting until the run and its cluster have ended")
        deadline = self.clock() + self.timeout
        while left := old & self._ask_active(job_id):
            if self.clock() >= deadline:
                raise RunsNotEnded(left, self.timeout)
            self.patience.sleep(POLL_S)

    def _start(self, job_id: int) -> int:
        # The token prevents a second run if the request is repeated.
        token = uuid.uuid4().hex
        run = self.patience.ask(
            f"cannot start the job {job_id}",
            lambda: self.jobs.run_now(job_id, idempotency_token=token),
        )
        return int(run.run_id)

    def _next(self, job_id: int, old: set[int]) -> int:
        """Return the run that Databricks starts for a continuous job."""
        deadline = self.clock() + START_TIMEOUT_S
        while not (new := self._ask_active(job_id) - old):
            if self.clock() >= deadline:
                raise NotStarted(job_id, f"Databricks started none within {START_TIMEOUT_S:g} s")
            self.patience.sleep(POLL_S)
        return max(new)

    def _ask_active(self, job_id: int) -> set[int]:
        return self.patience.ask(
            f"cannot list the runs of the job {job_id}", lambda: self._active(job_id)
        )

    def _check_started(self, job_id: int, run_id: int) -> Run:
        run = self.patience.ask(f"cannot read run {run_id}", lambda: self.jobs.get_run(run_id))
        if run.state and run.state.life_cycle_state in NEVER_RAN:
            raise NotStarted(job_id, run.state.state_message or str(run.state.life_cycle_state))
        return run
