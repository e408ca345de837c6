"""Send requests to a Pushgateway with the job's credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from tidemill.monitoring.reason import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.settings import MonitoringSettings

TIMEOUT_S = 5.0


def handler(monitoring: MonitoringSettings) -> Callable[..., Callable[[], None]]:
    """Return a `handler` for prometheus_client's functions.

    The function that it returns raises requests.RequestException if the gateway is unreachable, or
    refuses the request.
    """

    def prepare(
        url: str,
        method: str,
        timeout: float | None,
        headers: Sequence[tuple[str, str]],
        data: bytes,
    ) -> Callable[[], None]:
        return lambda: _send(
            monitoring, method, url, timeout=timeout, headers=dict(headers), data=data
        )

    return prepare


def check_ready(monitoring: MonitoringSettings) -> None:
    """Check that the gateway is ready.

    Raises:
        requests.RequestException: The gateway is unreachable, or it refuses.

    """
    url = f"{monitoring.pushgateway_url}/-/ready"
    requests.get(url, timeout=TIMEOUT_S, **_identity(monitoring)).raise_for_status()


def _send(
    monitoring: MonitoringSettings,
    method: str,
    url: str,
    *,
    timeout: float | None,
    headers: dict[str, str],
    data: bytes,
) -> None:
    try:
        response = requests.request(
            method,
            url,
            data=data,
            headers=headers,
            timeout=timeout,
            # A redirected PUT would become a GET, and appear to succeed.
            allow_redirects=False,
            **_identity(monitoring),
        )
    except requests.exceptions.SSLError as error:
        # A gateway that requires a certificate closes the connection without a word.
        message = f"{reason(error)}; check pushgateway_ca_file and pushgateway_keystore_file"
        raise requests.ConnectionError(message) from error
    except requests.RequestException as error:
        raise requests.ConnectionError(reason(error)) from error
    if response.status_code >= requests.codes.multiple_choices:
        message = f"{response.status_code} {response.reason}: {response.text[:500]}"
        raise requests.HTTPError(message)


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
