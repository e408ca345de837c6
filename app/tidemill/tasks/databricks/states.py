"""Tell how far a run of Databricks is, and what became of it.

A run has a `status`, and an older `state`, which some workspaces still send alone. The SDK returns
None for a value that it does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import Run, RunState, RunStatus

    class Stateful(Protocol):
        """A run, or the run of one of its tasks."""

        status: RunStatus | None
        state: RunState | None


# What a run does in states that pass.
DOES: Final = {
    "BLOCKED": "waits for other tasks",
    "PENDING": "waits for its cluster",
    "QUEUED": "is queued",
    "RUNNING": "runs",
    "TERMINATING": "is ending",
    "WAITING": "waits",
    "WAITING_FOR_RETRY": "waits to be tried again",
}
ENDED: Final = ("INTERNAL_ERROR", "SKIPPED", "TERMINATED")
SUCCEEDED: Final = ("SUCCESS", "SUCCESS_WITH_FAILURES")
# Codes of runs whose own code failed; a task's output then has the exception.
RAISED: Final = ("FAILED", "RUN_EXECUTION_ERROR")

CANCELLED: Final = "Somebody cancelled it in Databricks; `tidemill task retry` starts a new run."
TOO_LONG: Final = "It exceeded its time-out in Databricks: raise that, or make the task smaller."
TOO_MANY: Final = "Enable the queue of the Databricks job, or lower the `concurrency` of this one."
LATER: Final = "It may pass: `tidemill task retry` starts a new run."
DISABLED: Final = "It is disabled in Databricks: enable it there."
UPSTREAM: Final = "A task that it depends on did not succeed: look at that one."
CONFIGURED: Final = "Correct the job's configuration in Databricks."
ITS_CODE: Final = "The job's code failed: look at its output."
PERMITTED: Final = "Give the job's owner, or whom it runs as, the permission that is missing."
LOOK: Final = "Look at the run's page."
# What to do, for each code with which a run ends without success.
HINTS: Final = {
    "BREAKING_CHANGE": LATER,
    "BUDGET_POLICY_LIMIT_EXCEEDED": "Its budget is spent: raise it, or wait.",
    "CANCELED": f"{CANCELLED} Or it took longer than Databricks allows it.",
    "CLOUD_FAILURE": LATER,
    "CLUSTER_ERROR": "Its cluster failed: look at the cluster's log; it may need more memory.",
    "CLUSTER_REQUEST_LIMIT_EXCEEDED": LATER,
    "DISABLED": DISABLED,
    "DRIVER_ERROR": "Its driver failed: look at the driver's log; it may need more memory.",
    "EXCLUDED": UPSTREAM,
    "FAILED": ITS_CODE,
    "FEATURE_DISABLED": "The workspace lacks a feature that the job uses.",
    "INTERNAL_ERROR": LATER,
    "INVALID_CLUSTER_REQUEST": CONFIGURED,
    "INVALID_RUN_CONFIGURATION": CONFIGURED,
    "LIBRARY_INSTALLATION_ERROR": "A library could not be installed: look at the cluster's log.",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": TOO_MANY,
    "MAX_CONCURRENT_RUNS_EXCEEDED": TOO_MANY,
    "MAX_JOB_QUEUE_SIZE_EXCEEDED": "The job's queue in Databricks is full: submit fewer, or later.",
    "MAX_SPARK_CONTEXTS_EXCEEDED": "Its cluster has too many contexts: use a job cluster.",
    "REPOSITORY_CHECKOUT_FAILED": LATER,
    "RESOURCE_NOT_FOUND": CONFIGURED,
    "RUN_EXECUTION_ERROR": ITS_CODE,
    "SKIPPED": TOO_MANY,
    "STORAGE_ACCESS_ERROR": PERMITTED,
    "TIMEDOUT": TOO_LONG,
    "UNAUTHORIZED_ERROR": PERMITTED,
    "UPSTREAM_CANCELED": UPSTREAM,
    "UPSTREAM_FAILED": UPSTREAM,
    "USER_CANCELED": CANCELLED,
    "WORKSPACE_RUN_LIMIT_EXCEEDED": LATER,
}


def has_ended(run: Stateful) -> bool:
    """Return whether a run will not change any more."""
    return _state(run) in ENDED


def code(run: Stateful) -> str:
    """Return what a run has ended with; it is in `SUCCEEDED`, or `HINTS` may have a hint."""
    details = run.status.termination_details if run.status else None
    if details and details.code:
        return details.code.value
    if run.state and run.state.result_state:
        return run.state.result_state.value
    return _state(run)


def message(run: Stateful) -> str:
    """Return what Databricks says about a run; empty if it says nothing."""
    details = run.status.termination_details if run.status else None
    said = details.message if details else None
    return said or (run.state.state_message if run.state else None) or ""


def progress(run: Run) -> tuple[float, str]:
    """Return how far a run is, from 0 to 1, and a phrase with its page."""
    tasks = run.tasks or []
    ended = sum(map(has_ended, tasks))
    phrase = DOES.get(_state(run), "has ended" if has_ended(run) else "is in an unknown state")
    if queue := run.status.queue_details if run.status else None:
        phrase += f" ({queue.code.value})" if queue.code else ""
    if len(tasks) > 1:
        phrase += f", {ended} of {len(tasks)} tasks done"
    return ended / len(tasks) if tasks else 0.0, f"{phrase}: {run.run_page_url or run.run_id}"


def _state(run: Stateful) -> str:
    old = run.state.life_cycle_state if run.state else None
    new = run.status.state if run.status else None
    known = new or old
    return known.value if known else "UNKNOWN"
