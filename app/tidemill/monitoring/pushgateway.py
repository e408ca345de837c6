"""Push the job's metrics to a Pushgateway, for jobs that no Prometheus can scrape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import requests
import structlog
from prometheus_client import CollectorRegistry, delete_from_gateway, push_to_gateway

from tidemill.monitoring.reason import reason
from tidemill.periodic import PeriodicTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client.registry import Collector

    from tidemill.settings import MonitoringSettings

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0


class PushgatewayExporter:
    """A thread that periodically replaces the job's group at the gateway.

    The group is job and instance. Nothing else waits for the gateway. If it is unreachable, slow or
    refuses, that is logged once, and the next push happens on schedule.
    """

    def __init__(self, monitoring: MonitoringSettings, job: str, *collectors: Collector) -> None:
        """Store the settings (`pushgateway_url` is set), the job's label and the metrics."""
        self._monitoring = monitoring
        self._group: dict[str, Any] = {
            "gateway": str(monitoring.pushgateway_url),
            "job": job,
            "grouping_key": {"instance": monitoring.instance},
            "timeout": TIMEOUT_S,
            "handler": self._request,
        }
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)
        self._clean = True
        self._pushed = False
        description = f"push metrics to {monitoring.pushgateway_url}"
        self._every = PeriodicTask(
            monitoring.pushgateway_interval,
            self._push,
            description=description,
            on_close=self._delete,
        )

    def start(self) -> Self:
        """Push now, and then periodically."""
        self._every.start()
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
        if not self._every.close(timeout) and self._pushed:
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

    def _request(
        self,
        url: str,
        method: str,
        timeout: float | None,
        headers: Sequence[tuple[str, str]],
        data: bytes,
    ) -> Callable[[], None]:
        """Return a `handler` for prometheus_client that makes the request.

        Raises:
            requests.RequestException: The gateway is unreachable, or it refuses.

        """

        def send() -> None:
            try:
                response = requests.request(
                    method,
                    url,
                    data=data,
                    headers=dict(headers),
                    timeout=timeout,
                    # A redirected PUT would become a GET, and appear to succeed.
                    allow_redirects=False,
                    **_identity(self._monitoring),
                )
            except requests.exceptions.SSLError as error:
                # A gateway that requires a certificate closes the connection without a word.
                message = (
                    f"{reason(error)}; check pushgateway_ca_file and pushgateway_keystore_file"
                )
                raise requests.ConnectionError(message) from error
            except requests.RequestException as error:
                raise requests.ConnectionError(reason(error)) from error
            if response.status_code >= requests.codes.multiple_choices:
                message = f"{response.status_code} {response.reason}: {response.text[:500]}"
                raise requests.HTTPError(message)

        return send


def check_ready(monitoring: MonitoringSettings) -> None:
    """Check that the gateway is ready.

    Raises:
        requests.RequestException: The gateway is unreachable, or it refuses.

    """
    url = f"{monitoring.pushgateway_url}/-/ready"
    requests.get(url, timeout=TIMEOUT_S, **_identity(monitoring)).raise_for_status()


def _identity(monitoring: MonitoringSettings) -> dict[str, Any]:
    """Return the options of requests for authentication and TLS."""
    identity: dict[str, Any] = {"verify": True}
    if monitoring.pushgateway_ca_file:
        identity["verify"] = str(monitoring.pushgateway_ca_file)
    if monitoring.pushgateway_keystore_file:
        identity["cert"] = str(monitoring.pushgateway_keystore_file)
    if monitoring.pushgateway_username is not None and monitoring.pushgateway_password:
        # Bytes, because requests encodes text as Latin-1.
        identity["auth"] = (
            monitoring.pushgateway_username.encode(),
            monitoring.pushgateway_password.get_secret_value().encode(),
        )
    return identity
