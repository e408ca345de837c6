"""Define the errors of long tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors.base import ConfigurationError, MessageError, TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class InvalidJob(ConfigurationError):
    """A job of the settings cannot be used."""

    def __init__(self, job: str, reason: object) -> None:
        super().__init__(
            f"the job {job!r} is invalid: {reason}",
            "Name a class in `tasks.jobs` as module:Class, with a method run(parameters, report).",
        )


class NoJobs(ConfigurationError):
    """A worker has nothing to run."""

    def __init__(self) -> None:
        super().__init__(
            "the settings list no jobs, so a worker would wait for ever",
            "List them under `tasks.jobs`, and name the file with --config if it is elsewhere.",
        )


class UnknownJob(MessageError):
    """The settings list no such job."""

    def __init__(self, job: str, near: Iterable[str]) -> None:
        names = ", ".join(near)
        super().__init__(
            f"there is no job {job[:100]!r}",
            f"Jobs: {names}." if names else "List jobs in the settings, under `tasks.jobs`.",
        )


class UnknownRun(MessageError):
    """There is no such run, or not any more."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"there is no run {run[:100]!r}",
            "`tidemill task list` and GET /v1/tasks list the runs; "
            "they are kept for `tasks.keep` seconds.",
        )


class InvalidParameters(MessageError):
    """The parameters of a task do not have the schema of its job."""

    def __init__(self, job: str, reason: object) -> None:
        super().__init__(
            f"the parameters do not fit the job {job!r}: {reason}",
            f"`tidemill task schema {job}` and a server's /openapi.json show what it takes.",
        )


class InvalidIdempotencyKey(MessageError):
    """An idempotency key has letters that none may have, or is too long."""

    def __init__(self, longest: int) -> None:
        super().__init__(
            f"the idempotency key must have 1 to {longest} printable characters",
            "Take a name of the request, such as order-17; or send no key.",
        )


class ModelNotChosen(MessageError):
    """A task needs one model, but its parameters leave several."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(
            f"the task needs one model, but there are {len(models)}: {', '.join(models)}",
            "Name one in the parameter `model`, as NAME:VERSION.",
        )


class ParametersTooLarge(MessageError):
    """The parameters of a task are too long."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the parameters have more than {limit:,} bytes",
            "Put large input into a file or a table, and pass its name; or raise "
            "`tasks.max_parameters`.",
        )


class TooManyTasks(TidemillError):
    """So many tasks of a job wait that no more are accepted."""

    retry_after = 10.0  # seconds

    def __init__(self, job: str, most: int) -> None:
        super().__init__(
            f"{most:,} tasks of the job {job!r} wait, and no more may",
            "Try again later. Start more workers, or raise `tasks.max_waiting`.",
        )


class KeyReused(MessageError):
    """An idempotency key came with other parameters before."""

    def __init__(self, key: str, run: str) -> None:
        super().__init__(
            f"the idempotency key {key[:60]!r} belongs to run {run}, with other parameters",
            "Use a new key for each task; the same key only to repeat the same request.",
        )


class CannotRetry(MessageError):
    """A run has not failed, so it is not run again."""

    def __init__(self, run: str, state: str) -> None:
        super().__init__(
            f"the run {run} is {state}; only one that failed or was cancelled is run again",
            "Submit another task."
            if state == "succeeded"
            else "It runs without a retry. To begin it again, cancel it first.",
        )


class NotEnded(MessageError):
    """A run has no result yet."""

    def __init__(self, run: str, state: str) -> None:
        super().__init__(
            f"the run {run} is {state}",
            f"Wait with `tidemill task watch`, or ask GET /v1/tasks/{run} until it has ended.",
        )


class NoResult(MessageError):
    """A run ended without a result."""

    def __init__(self, run: str, state: str, error: str | None, hint: str | None = None) -> None:
        ends = {"cancelled": "was cancelled", "succeeded": "succeeded, but its result was deleted"}
        became = f"failed: {error}" if error else ends.get(state, state)
        again = f"`tidemill task retry` or POST /v1/tasks/{run}/retry runs it again."
        super().__init__(f"the run {run} {became}", f"{hint} {again}" if hint else again)


class AnnouncementFailed(TidemillError):
    """Kafka has not acknowledged messages about runs that have ended."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(
            f"the ends of runs were not written to the topic {topic!r}: {reason}",
            "They are written later. Check the broker, the topic and its permissions.",
        )


class TaskTimedOut(TidemillError):
    """A task took longer than its job allows."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the task did not end within {seconds:g} seconds",
            "Raise the job's `timeout`, or make the task smaller.",
        )


class TaskCrashed(TidemillError):
    """A task's process or its worker ended again and again."""

    def __init__(self, attempts: int, last: str) -> None:
        super().__init__(
            f"the task was tried {attempts} times, and none came to an end: {last}",
            "Look at the worker's log; it may need more memory.",
        )


class TaskResultTooLarge(TidemillError):
    """The result of a task is too long."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the result has {size:,} bytes; {limit:,} are allowed",
            "Let the job write a file and return its name; or raise `tasks.max_result`.",
        )
