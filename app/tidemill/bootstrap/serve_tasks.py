"""Wire long tasks in a server: their door, and the worker beside it."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING, Final

import structlog

from tidemill import extras
from tidemill.errors import TasksUnavailable
from tidemill.serving.long_tasks import LongTasks
from tidemill.serving.store_calls import StoreCalls
from tidemill.serving.worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from prometheus_client import CollectorRegistry

    from tidemill.settings import ServeProgram
    from tidemill.tasks.job import Job
    from tidemill.tasks.worker import Worker

log = structlog.get_logger(__name__)

# More would only wait for each other: SQLite has one writer at a time.
THREADS: Final = 8


def served_jobs(settings: ServeProgram) -> Mapping[str, Job]:
    """Return the jobs that the settings list, after a look at each one's schema.

    Raises:
        MissingExtra: The extra `store` is not installed.
        InvalidJob: A job has no schema.

    """
    if not settings.tasks.jobs:
        return {}
    with extras.required("store"):
        from tidemill.bootstrap.tasks import jobs  # noqa: PLC0415 - an extra
    found = {job.name: job for job in jobs(settings.tasks)}
    log.info("reading the jobs", jobs=sorted(found))
    for job in found.values():
        _ = job.schema
    return found


def long_tasks(settings: ServeProgram, jobs: Mapping[str, Job]) -> LongTasks | None:
    """Return what asks the tasks, if there are jobs.

    Raises:
        InvalidStoreUrl: There can be no store at the URL.

    """
    if not jobs:
        return None
    from tidemill.bootstrap.store import open_store  # noqa: PLC0415 - an extra
    from tidemill.bootstrap.tasks import limits  # noqa: PLC0415 - an extra
    from tidemill.tasks.tasks import Tasks  # noqa: PLC0415 - an extra

    store = open_store(settings.store)
    opened = partial(Tasks, store, jobs.values(), limits(settings.tasks))
    waiting = max(1, settings.serving.max_requests // 4)
    calls = StoreCalls(store, THREADS, max_waiting=waiting, unavailable=TasksUnavailable)
    return LongTasks(jobs, settings.tasks.max_parameters, cache(opened), calls)


def shown_tasks(
    tasks: LongTasks | None, registry: CollectorRegistry
) -> AbstractContextManager[None]:
    """Show the tasks' metrics within the context, if there are jobs."""
    if tasks is None:
        return nullcontext()
    from tidemill.bootstrap.task_metrics import show_tasks  # noqa: PLC0415 - needs an extra

    return show_tasks(tasks.jobs, tasks.summary, registry)


def worker_thread(settings: ServeProgram, jobs: Mapping[str, Job]) -> WorkerThread | None:
    """Return what runs tasks, if there are jobs and the settings want it.

    Raises:
        MissingExtra: The settings name a topic, and the extra `kafka` is not installed.

    """
    if not (jobs and settings.serving.run_tasks):
        return None
    if settings.tasks.topic is not None:
        with extras.required("kafka"):
            import tidemill.tasks.announcer  # noqa: F401, PLC0415 - an extra, before the thread
    return WorkerThread(partial(_worker, settings))


@contextmanager
def _worker(settings: ServeProgram) -> Iterator[Worker]:
    """Yield a worker with connections of its own, for which it waits for no request."""
    from tidemill.bootstrap.tasks import open_tasks, open_worker  # noqa: PLC0415 - an extra

    with open_tasks(settings) as tasks, open_worker(settings, tasks) as worker:
        yield worker
