"""Open the tasks that the settings describe, and make their worker."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

from tidemill import extras
from tidemill.bootstrap.store import open_store
from tidemill.errors import TidemillError, log_fields
from tidemill.periodic import PeriodicTask
from tidemill.tasks.job import Job
from tidemill.tasks.outbox import Outbox
from tidemill.tasks.tasks import Limits, Tasks
from tidemill.tasks.worker import Patience, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.settings import TasksProgram, TasksSettings

log = structlog.get_logger(__name__)

ANNOUNCE_S: Final = 1.0


@contextmanager
def open_tasks(settings: TasksProgram) -> Iterator[Tasks]:
    """Yield the tasks in the settings' store, and close it at the end."""
    with open_store(settings.store) as store:
        yield Tasks(store, jobs(settings.tasks), limits(settings.tasks))


def limits(section: TasksSettings) -> Limits:
    """Return the limits that the settings set."""
    return Limits(section.max_parameters, section.max_result, section.max_waiting)


def jobs(section: TasksSettings) -> list[Job]:
    """Return the jobs that the settings list."""
    return [
        Job(name, job.job, job.options, job.timeout, job.concurrency, job.attempts)
        for name, job in section.jobs.items()
    ]


@contextmanager
def open_metrics(settings: TasksProgram, tasks: Tasks) -> Iterator[None]:
    """Serve /metrics beside a worker, if the settings name a port.

    Raises:
        MissingExtra: They do, and the extra `serve` is not installed.
        MetricsPortTaken, MetricsAddressUnusable: It cannot listen there.

    """
    section = settings.tasks
    if section.metrics_port is None:
        yield
        return
    with extras.required("serve"):
        from tidemill.bootstrap.task_metrics import serve_tasks  # noqa: PLC0415 - an extra
    with serve_tasks(section.metrics_host, section.metrics_port, tasks):
        yield


@contextmanager
def open_worker(settings: TasksProgram, tasks: Tasks) -> Iterator[Worker]:
    """Yield a worker that runs tasks as the settings say, and announce the runs that end.

    Raises:
        MissingExtra: The settings name a topic, and the extra `kafka` is not installed.

    """
    section = settings.tasks
    patience = Patience(section.slots, section.take_over, section.grace, section.keep)
    worker = Worker(tasks, patience)
    if section.topic is None:
        yield worker
        return
    with extras.required("kafka"):
        from tidemill.tasks.announcer import Announcer  # noqa: PLC0415 - an extra
    outbox = Outbox(tasks.store.database, worker.name)
    announcer = Announcer(outbox, settings.kafka, section.topic)
    with PeriodicTask(ANNOUNCE_S, announcer.announce, "announce runs that have ended"):
        yield worker
    try:
        announcer.announce()  # of the runs that ended last
    except TidemillError as error:
        log.warning("cannot announce the last runs", error=error.message, **log_fields(error))
