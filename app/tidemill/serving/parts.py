"""The parts of a server, which both protocols use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill.serving.access_log import AccessLog
    from tidemill.serving.metrics import ServingMetrics
    from tidemill.serving.models import Models
    from tidemill.serving.service import Service
    from tidemill.serving.tracing import Tracing
    from tidemill.settings.serving import ServingSettings


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers requests, what it knows of the models, and what counts."""

    settings: ServingSettings
    service: Service
    models: Models
    metrics: ServingMetrics
    log: AccessLog
    tracing: Tracing

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
