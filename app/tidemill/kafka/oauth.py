"""Fetch OAuth 2.0 tokens for Kafka."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import requests
from kafka.net.sasl.oauth import AbstractTokenProvider
from requests.auth import HTTPBasicAuth

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from tidemill.settings import KafkaSettings

TIMEOUT_S = 5.0


class ClientCredentialsTokens(AbstractTokenProvider):  # type: ignore[misc] # kafka-python has no types
    """Fetch OAuth 2.0 access tokens by the client-credentials grant (RFC 6749, section 4.4)."""

    def __init__(self, kafka: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Store the settings; the first connection fetches a token."""
        super().__init__()
        self._kafka = kafka
        self._clock = clock
        self._lock = threading.Lock()
        self._token, self._renew_at = "", float("-inf")

    def token(self) -> str:
        """Return a valid token; fetch a new one if the last has nearly expired.

        Raises:
            requests.RequestException: The endpoint does not answer, or it refuses.

        """
        with self._lock:
            if self._clock() >= self._renew_at:
                now = self._clock()
                self._token, expiry = self.fetch(now)
                # Renew it after 80% of its lifetime, as Java's client does.
                self._renew_at = now + 0.8 * (expiry - now)
            return self._token

    def fetch(self, now: float) -> tuple[str, float]:
        """Return a new token and its expiry time, in seconds on the clock of `now`.

        Raises:
            requests.RequestException: The endpoint does not answer, or it refuses.

        """
        response = requests.post(
            str(self._kafka.oauth_token_url),
            data={"grant_type": "client_credentials", "scope": self._kafka.oauth_scope},
            # Bytes, because requests encodes text as Latin-1, but Java's client as UTF-8.
            auth=HTTPBasicAuth(
                (self._kafka.oauth_client_id or "").encode(),
                (reveal(self._kafka.oauth_client_secret) or "").encode(),
            ),
            timeout=TIMEOUT_S,
        )
        response.raise_for_status()
        body = response.json()
        if not isinstance(body, dict) or not body.get("access_token"):
            raise requests.RequestException(
                f"{self._kafka.oauth_token_url} answered without an access_token"
            )
        return str(body["access_token"]), now + float(body.get("expires_in", 60))


def reveal(secret: SecretStr | None) -> str | None:
    """Return the text of a secret."""
    return secret.get_secret_value() if secret else None
