"""Show the long tasks to Prometheus: on the server's page, or on a page of a worker."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

from tidemill.monitoring.server import serve_application
from tidemill.monitoring.task_metrics import TaskMetrics
from tidemill.periodic import PeriodicTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tidemill.tasks.tasks import Tasks
    from tidemill.tasks.totals import Summary

log = structlog.get_logger(__name__)

READ_S: Final = 5.0
CLOSE_S: Final = 1.0  # how long the end waits for the database


@contextmanager
def show_tasks(
    jobs: Iterable[str],
    summarize: Callable[[], Summary],
    registry: CollectorRegistry,
    *,
    seconds: float = READ_S,
) -> Iterator[None]:
    """Add the tasks' metrics to a registry.

    A thread of its own reads the database every few seconds, so no scrape waits for it.
    """
    metrics = TaskMetrics(jobs, summarize)
    registry.register(metrics)
    reading = PeriodicTask(seconds, metrics.read, "read how many tasks wait and run").start()
    try:
        yield
    finally:
        reading.close(CLOSE_S)


@contextmanager
def serve_tasks(
    host: str, port: int, tasks: Tasks, *, seconds: float = READ_S
) -> Iterator[tuple[str, int]]:
    """Serve the tasks' metrics within the context; yield the address. Port 0 means any free port.

    Raises:
        MetricsPortTaken, MetricsAddressUnusable: It cannot listen there.

    """
    registry = CollectorRegistry()
    with (
        serve_application(host, port, make_wsgi_app(registry)) as address,
        show_tasks(tasks.jobs, tasks.summary, registry, seconds=seconds),
    ):
        log.info("serving metrics", address=address)
        yield address
