"""The parts of a server, which both protocols use."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.errors import LookupsUnavailable, ServerBusy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.serving.access import Access
    from tidemill.serving.access_log import AccessLog
    from tidemill.serving.long_tasks import LongTasks
    from tidemill.serving.metrics import ServingMetrics
    from tidemill.serving.models import Models
    from tidemill.serving.service import Service
    from tidemill.serving.tables import Tables
    from tidemill.serving.tracing import Tracing
    from tidemill.serving.worker_thread import WorkerThread
    from tidemill.settings.serving import ServingSettings

# How much of a request's path or name is logged, in characters.
MAX_REQUEST = 300


@dataclass(slots=True)
class Parts:
    """Who may ask, what answers, what is known of the models, and what counts and logs."""

    settings: ServingSettings
    access: Access
    service: Service
    models: Models
    metrics: ServingMetrics
    log: AccessLog
    tracing: Tracing
    tables: Tables | None = None  # None if the server serves none
    tasks: LongTasks | None = None  # the same
    worker: WorkerThread | None = None  # None if the server does not run tasks
    running: int = 0  # requests

    @property
    def of_store(self) -> Tables:
        """The tables of a server that serves some; no other finds a table for a request."""
        if self.tables is None:
            raise LookupsUnavailable
        return self.tables

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a request as running until the end of the context.

        Raises:
            ServerBusy: There are `serving.max_requests` already.

        """
        if self.running >= self.settings.max_requests:
            raise ServerBusy(self.settings.max_requests)
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1

    def note(self, protocol: str, request: str, status: str, seconds: float, client: str) -> None:
        """Count and log a request that has ended."""
        self.metrics.request_ended(protocol, status, seconds)
        if self.settings.access_log:
            self.log.write(protocol, request, status, seconds, client)

    def readiness_problem(self) -> str | None:
        """Return why the server is not ready; None if it is."""
        if self.service.is_draining:
            return "the server is shutting down"
        return None if self.models.is_started else "the models are being loaded"
