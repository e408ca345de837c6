"""Push the job's metrics to a Pushgateway, for jobs that no Prometheus can scrape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import structlog
from prometheus_client import CollectorRegistry, delete_from_gateway, push_to_gateway

from tidemill.monitoring.gateway_requests import TIMEOUT_S, handler
from tidemill.periodic import PeriodicTask

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from tidemill.settings import MonitoringSettings

log = structlog.get_logger(__name__)


class PushgatewayExporter:
    """A thread that periodically replaces the job's group at the gateway.

    The group is job and instance. Nothing else waits for the gateway. If it is unreachable,
    slow or refuses a push, that is logged once, and the next push happens on schedule.
    """

    def __init__(self, monitoring: MonitoringSettings, job: str, *collectors: Collector) -> None:
        """Store the settings (`pushgateway_url` is set), the job's label and the metrics."""
        self._group: dict[str, Any] = {
            "gateway": str(monitoring.pushgateway_url),
            "job": job,
            "grouping_key": {"instance": monitoring.instance},
            "timeout": TIMEOUT_S,
            "handler": handler(monitoring),
        }
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)
        self._clean = True
        self._pushed = False
        description = f"push metrics to {monitoring.pushgateway_url}"
        self._task = PeriodicTask(
            monitoring.pushgateway_interval,
            self._push,
            description=description,
            on_close=self._delete,
        )

    def start(self) -> Self:
        """Push now, and then periodically."""
        self._task.start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(clean=kind is None)

    def close(self, timeout: float = 5, *, clean: bool = True) -> None:
        """Stop pushing; return within `timeout` seconds.

        After a clean stop, delete the group. After a failure its metrics stay and go stale, which
        fires an alert; otherwise nobody would notice a dead job.
        """
        self._clean = clean
        if not self._task.close(timeout) and self._pushed:
            log.warning("the pushed metrics stay, because the Pushgateway does not answer")

    def _push(self) -> None:
        push_to_gateway(registry=self._registry, **self._group)
        self._pushed = True

    def _delete(self) -> None:
        if not self._clean:
            return
        try:
            delete_from_gateway(**self._group)
        except OSError as error:
            if self._pushed:
                log.warning("the pushed metrics stay at the Pushgateway", error=str(error))
