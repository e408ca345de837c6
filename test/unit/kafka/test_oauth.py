from __future__ import annotations

import base64
import json
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
import requests

from tidemill.kafka.oauth import ClientCredentialsTokens
from tidemill.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clock import Clock

SECRET = "canary-5b2e"


class TokenServer(ThreadingHTTPServer):
    """A token endpoint. It returns token-1, token-2, …, unless a test sets `answer`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.answer: tuple[int, Any] | None = None
        self.expires_in: Any = 100

    @property
    def url(self) -> str:
        """Return the URL of the endpoint."""
        return f"http://127.0.0.1:{self.server_port}/token"


class Handler(BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        """Record the request, and answer."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers["Authorization"], parse_qs(body)))
        token = {"access_token": f"token-{len(self.server.asked)}"}
        status, answer = self.server.answer or (
            200,
            {**token, "expires_in": self.server.expires_in},
        )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Log nothing."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    """A running token endpoint."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with TokenServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def provider(endpoint: TokenServer, clock: Clock, **rest: Any) -> ClientCredentialsTokens:  # noqa: ANN401
    """Return a provider for the endpoint."""
    fields = {"oauth_client_id": "me", "oauth_client_secret": SECRET, **rest}
    kafka = KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        oauth_token_url=endpoint.url,
        **fields,
    )
    return ClientCredentialsTokens(kafka, clock)


class TestRequest:
    """A request follows the client-credentials grant."""

    def test_nothing_at_first(self, endpoint: TokenServer, clock: Clock) -> None:
        """Creating a provider sends no request."""
        provider(endpoint, clock)
        assert endpoint.asked == []

    def test_grant(self, endpoint: TokenServer, clock: Clock) -> None:
        """The form holds the grant and the scope; only the header holds the credentials."""
        assert provider(endpoint, clock, oauth_scope="kafka").token() == "token-1"
        ((authorization, form),) = endpoint.asked
        assert form == {"grant_type": ["client_credentials"], "scope": ["kafka"]}
        assert authorization == "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()

    def test_no_scope(self, endpoint: TokenServer, clock: Clock) -> None:
        """Without a scope, none is sent."""
        provider(endpoint, clock).token()
        assert endpoint.asked[0][1] == {"grant_type": ["client_credentials"]}

    @pytest.mark.parametrize("secret", ["sécret", "s€cret"])
    def test_not_ascii(self, endpoint: TokenServer, clock: Clock, secret: str) -> None:
        """Credentials are sent as UTF-8, as Java's client sends them."""
        provider(endpoint, clock, oauth_client_secret=secret).token()
        assert base64.b64decode(endpoint.asked[0][0].split()[1]).decode() == f"me:{secret}"


class TestRenewal:
    """A token is used for 80% of its lifetime."""

    def test_reused(self, endpoint: TokenServer, clock: Clock) -> None:
        """Until then, no new request is sent."""
        tokens = provider(endpoint, clock)
        assert tokens.token() == "token-1"
        clock.now += 79.9
        assert tokens.token() == "token-1"
        assert len(endpoint.asked) == 1

    def test_renewed(self, endpoint: TokenServer, clock: Clock) -> None:
        """After that, a new token is fetched and used."""
        tokens = provider(endpoint, clock)
        tokens.token()
        clock.now += 80
        assert [tokens.token(), tokens.token()] == ["token-2", "token-2"]

    def test_expires_in_as_text(self, endpoint: TokenServer, clock: Clock) -> None:
        """A lifetime may be text."""
        endpoint.expires_in = "100"
        tokens = provider(endpoint, clock)
        tokens.token()
        clock.now += 79
        assert tokens.token() == "token-1"

    def test_no_expiry(self, endpoint: TokenServer, clock: Clock) -> None:
        """Without a lifetime, a token counts as short-lived."""
        endpoint.answer = 200, {"access_token": "t"}
        tokens = provider(endpoint, clock)
        assert [tokens.token(), tokens.token()] == ["t", "t"]
        clock.now += 3600
        tokens.token()
        assert len(endpoint.asked) == 2

    def test_many_threads(self, endpoint: TokenServer, clock: Clock) -> None:
        """Concurrent clients share one request."""
        tokens = provider(endpoint, clock)
        threads = [threading.Thread(target=tokens.token) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(endpoint.asked) == 1


class TestRefusal:
    """An endpoint without a token raises an error that counts as an outage."""

    @pytest.mark.parametrize(
        "answer",
        [
            (401, {"error": "invalid_client"}),
            (500, b"oops"),
            (200, b"<html>"),
            (200, {"error": "invalid_client"}),
            (200, []),
        ],
    )
    def test_raises(self, endpoint: TokenServer, clock: Clock, answer: tuple[int, Any]) -> None:
        """Neither the error nor its traceback contains the secret."""
        endpoint.answer = answer
        with pytest.raises(requests.RequestException) as caught:
            provider(endpoint, clock).token()
        encoded = base64.b64encode(f"me:{SECRET}".encode()).decode()
        trace = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert SECRET not in trace
        assert encoded not in trace

    def test_again_afterwards(self, endpoint: TokenServer, clock: Clock) -> None:
        """The next call sends a new request."""
        tokens = provider(endpoint, clock)
        endpoint.answer = 503, {}
        with pytest.raises(requests.RequestException):
            tokens.token()
        endpoint.answer = None
        assert tokens.token() == "token-2"

    def test_refused_renewal(self, endpoint: TokenServer, clock: Clock) -> None:
        """A token that could not be renewed is not used again."""
        tokens = provider(endpoint, clock)
        tokens.token()
        clock.now += 80
        endpoint.answer = 401, {}
        with pytest.raises(requests.RequestException):
            tokens.token()

    def test_no_answer(self, endpoint: TokenServer, clock: Clock) -> None:
        """An absent endpoint raises the same error."""
        tokens = provider(endpoint, clock)
        endpoint.socket.close()
        with pytest.raises(requests.RequestException):
            tokens.token()
