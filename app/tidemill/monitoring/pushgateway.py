"""Push the job's metrics to a Pushgateway, for what runs where no Prometheus can scrape it."""

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
    """A thread that replaces the job's group at the gateway every so many seconds.

    The group is job and instance. Nothing else waits for the gateway; where it is away, slow or
    refuses, that is logged once, and the next push is made at its time.
    """

    def __init__(self, monitoring: MonitoringSettings, job: str, *collectors: Collector) -> None:
        """Take the settings, whose `pushgateway_url` is set, the job's label, and the metrics."""
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
        what = f"push metrics to {monitoring.pushgateway_url}"
        self._every = PeriodicTask(
            monitoring.pushgateway_interval, self._push, what=what, last=self._delete
        )

    def start(self) -> Self:
        """Push at once, and from now on."""
        self._every.start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(clean=kind is None)

    def close(self, timeout: float = 5, *, clean: bool = True) -> None:
        """Stop pushing; return within `timeout` seconds.

        After a clean end the group is deleted. What a failure leaves grows old, which is an alert:
        without it a job that is dead and gone would be missed by nobody.
        """
        self._clean = clean
        if not self._every.close(timeout) and self._pushed:
            log.warning("the pushed metrics stay: the Pushgateway does not answer")

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
        """Return what makes a request, as prometheus_client wants it (its `handler`).

        Raises:
            requests.RequestException: The gateway is away, or refuses.

        """

        def send() -> None:
            try:
                response = requests.request(
                    method,
                    url,
                    data=data,
                    headers=dict(headers),
                    timeout=timeout,
                    # A redirected PUT would become a GET, and seem to have gone well.
                    allow_redirects=False,
                    **_identity(self._monitoring),
                )
            except requests.exceptions.SSLError as error:
                # Where it wants a certificate and gets none, it says nothing and hangs up.
                said = f"{reason(error)}; check pushgateway_ca_file and pushgateway_keystore_file"
                raise requests.ConnectionError(said) from error
            except requests.RequestException as error:
                raise requests.ConnectionError(reason(error)) from error
            if response.status_code >= requests.codes.multiple_choices:
                said = f"{response.status_code} {response.reason}: {response.text[:500]}"
                raise requests.HTTPError(said)

        return send


def greet(monitoring: MonitoringSettings) -> None:
    """Ask the gateway whether it is ready.

    Raises:
        requests.RequestException: It is away, or refuses.

    """
    url = f"{monitoring.pushgateway_url}/-/ready"
    requests.get(url, timeout=TIMEOUT_S, **_identity(monitoring)).raise_for_status()


def _identity(monitoring: MonitoringSettings) -> dict[str, Any]:
    """Return how requests tells who asks, and whom it trusts."""
    identity: dict[str, Any] = {"verify": True}
    if monitoring.pushgateway_ca_file:
        identity["verify"] = str(monitoring.pushgateway_ca_file)
    if monitoring.pushgateway_keystore_file:
        identity["cert"] = str(monitoring.pushgateway_keystore_file)
    if monitoring.pushgateway_username is not None and monitoring.pushgateway_password:
        # As bytes: text would be sent as Latin-1.
        identity["auth"] = (
            monitoring.pushgateway_username.encode(),
            monitoring.pushgateway_password.get_secret_value().encode(),
        )
    return identity
