"""Open the tasks that the settings describe, and make their worker."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.bootstrap.store import open_store
from tidemill.tasks.job import Job
from tidemill.tasks.tasks import Limits, Tasks
from tidemill.tasks.worker import Patience, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.settings import TasksProgram, TasksSettings


@contextmanager
def open_tasks(settings: TasksProgram) -> Iterator[Tasks]:
    """Yield the tasks in the settings' store, and close it at the end."""
    section = settings.tasks
    with open_store(settings.store) as store:
        yield Tasks(store, jobs(section), Limits(section.max_parameters, section.max_result))


def jobs(section: TasksSettings) -> list[Job]:
    """Return the jobs that the settings list."""
    return [
        Job(name, job.job, job.options, job.timeout, job.concurrency, job.attempts)
        for name, job in section.jobs.items()
    ]


def make_worker(tasks: Tasks, section: TasksSettings) -> Worker:
    """Return a worker that runs tasks as the settings say."""
    patience = Patience(section.slots, section.take_over, section.grace, section.keep)
    return Worker(tasks, patience)
