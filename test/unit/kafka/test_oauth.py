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

from tidemill.kafka.client_options import ClientCredentialsTokens
from tidemill.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clock import Clock

SECRET = "canary-5b2e"


class TokenServer(ThreadingHTTPServer):
    """A token endpoint: gives token-1, token-2, …, or what it is told to answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.answer: tuple[int, Any] | None = None
        self.expires_in: Any = 100

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server_port}/token"


class Handler(BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        """Note who asks for what; answer."""
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

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


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
    """Make a provider for the endpoint."""
    fields = {"oauth_client_id": "me", "oauth_client_secret": SECRET, **rest}
    kafka = KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        oauth_token_url=endpoint.url,
        **fields,
    )
    return ClientCredentialsTokens(kafka, clock)


class TestRequest:
    """What the endpoint is asked."""

    def test_nothing_at_first(self, endpoint: TokenServer, clock: Clock) -> None:
        """Making a provider asks nothing."""
        provider(endpoint, clock)
        assert endpoint.asked == []

    def test_grant(self, endpoint: TokenServer, clock: Clock) -> None:
        """The grant and the scope are in the form, the credentials in the header only."""
        assert provider(endpoint, clock, oauth_scope="kafka").token() == "token-1"
        ((authorization, form),) = endpoint.asked
        assert form == {"grant_type": ["client_credentials"], "scope": ["kafka"]}
        assert authorization == "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()

    def test_no_scope(self, endpoint: TokenServer, clock: Clock) -> None:
        """A scope that is not set is not sent."""
        provider(endpoint, clock).token()
        assert endpoint.asked[0][1] == {"grant_type": ["client_credentials"]}

    @pytest.mark.parametrize("secret", ["sécret", "s€cret"])
    def test_not_ascii(self, endpoint: TokenServer, clock: Clock, secret: str) -> None:
        """Credentials are sent as UTF-8, as Java's client sends them."""
        provider(endpoint, clock, oauth_client_secret=secret).token()
        assert base64.b64decode(endpoint.asked[0][0].split()[1]).decode() == f"me:{secret}"


class TestRenewal:
    """A token is used until 80% of its life is over."""

    def test_reused(self, endpoint: TokenServer, clock: Clock) -> None:
        """Until then nobody is asked again."""
        tokens = provider(endpoint, clock)
        assert tokens.token() == "token-1"
        clock.now += 79.9
        assert tokens.token() == "token-1"
        assert len(endpoint.asked) == 1

    def test_renewed(self, endpoint: TokenServer, clock: Clock) -> None:
        """From then on another one is fetched, and used in its turn."""
        tokens = provider(endpoint, clock)
        tokens.token()
        clock.now += 80
        assert [tokens.token(), tokens.token()] == ["token-2", "token-2"]

    def test_expires_in_as_text(self, endpoint: TokenServer, clock: Clock) -> None:
        """A life in text is understood."""
        endpoint.expires_in = "100"
        tokens = provider(endpoint, clock)
        tokens.token()
        clock.now += 79
        assert tokens.token() == "token-1"

    def test_no_expiry(self, endpoint: TokenServer, clock: Clock) -> None:
        """A life that the answer does not tell is taken for a short one."""
        endpoint.answer = 200, {"access_token": "t"}
        tokens = provider(endpoint, clock)
        assert [tokens.token(), tokens.token()] == ["t", "t"]
        clock.now += 3600
        tokens.token()
        assert len(endpoint.asked) == 2

    def test_many_threads(self, endpoint: TokenServer, clock: Clock) -> None:
        """Clients that ask at once share one request."""
        tokens = provider(endpoint, clock)
        threads = [threading.Thread(target=tokens.token) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(endpoint.asked) == 1


class TestRefusal:
    """An endpoint that gives no token raises what a client takes for an outage."""

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
        """The error does not hold the secret, nor does its trace."""
        endpoint.answer = answer
        with pytest.raises(requests.RequestException) as caught:
            provider(endpoint, clock).token()
        encoded = base64.b64encode(f"me:{SECRET}".encode()).decode()
        trace = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert SECRET not in trace
        assert encoded not in trace

    def test_again_afterwards(self, endpoint: TokenServer, clock: Clock) -> None:
        """The next call asks again."""
        tokens = provider(endpoint, clock)
        endpoint.answer = 503, {}
        with pytest.raises(requests.RequestException):
            tokens.token()
        endpoint.answer = None
        assert tokens.token() == "token-2"

    def test_refused_renewal(self, endpoint: TokenServer, clock: Clock) -> None:
        """A token that could not be renewed is not handed out again."""
        tokens = provider(endpoint, clock)
        tokens.token()
        clock.now += 80
        endpoint.answer = 401, {}
        with pytest.raises(requests.RequestException):
            tokens.token()

    def test_no_answer(self, endpoint: TokenServer, clock: Clock) -> None:
        """Nobody there is the same kind of error."""
        tokens = provider(endpoint, clock)
        endpoint.socket.close()
        with pytest.raises(requests.RequestException):
            tokens.token()
