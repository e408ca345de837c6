"""Check the jobs that the settings list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill import extras
from tidemill.check import CheckResult, failed
from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.settings import Settings
    from tidemill.tasks.job import Job


def check_jobs(settings: Settings) -> Iterator[CheckResult]:
    """Check the class of each job, and the schema of its parameters; nothing if there are none."""
    if not settings.tasks.jobs:
        return
    try:
        with extras.required("store"):
            from tidemill.bootstrap.tasks import jobs  # noqa: PLC0415 - an extra
    except TidemillError as error:
        yield failed("jobs", error)
        return
    for job in jobs(settings.tasks):
        yield _check(job)


def _check(job: Job) -> CheckResult:
    subject = f"job {job.name}"
    try:
        names = job.schema.get("properties", {})
    except TidemillError as error:
        return failed(subject, error)
    return CheckResult(subject, f"{job.path} takes {', '.join(names) or 'an object'}")
