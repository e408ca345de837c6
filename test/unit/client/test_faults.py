"""The client against servers that fail as a script says, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from scripted_server import HALF, OK, RESET, STALL, ScriptedServer

from tidemill.client import Client
from tidemill.client.rendezvous import ordered
from tidemill.errors import (
    CannotConnect,
    RequestRefused,
    RequestTimedOut,
    ServerFailed,
    ServerOverloaded,
    ServerUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_server import Action

MODEL = "m"


@contextmanager
def servers(*scripts: list[Action]) -> Iterator[list[ScriptedServer]]:
    """Run a server for each script, in the order in which a client asks them for `MODEL`."""
    with ExitStack() as stack:
        some = [stack.enter_context(ScriptedServer()) for _ in scripts]
        urls = ordered(MODEL, [each.url for each in some])
        some.sort(key=lambda server: urls.index(server.url))
        for server, script in zip(some, scripts, strict=True):
            server.script = list(script)
        yield some


def outputs(client: Client, *inputs: str, **options: float) -> list[str]:
    """Return the outputs for inputs."""
    return [a.output for a in client.predict(MODEL, inputs, **options)]  # type: ignore[arg-type]


class TestRetries:
    """A request that another try may answer is tried again."""

    @pytest.mark.parametrize(
        "action", [RESET, HALF, 429, 502, 503, (503, "0"), (429, "0")], ids=str
    )
    def test_one_server(self, action: Action) -> None:
        """The same server answers the next try."""
        with servers([action, action, OK]) as (one,), Client(one.url) as client:
            assert outputs(client, "a", "b") == ["a", "b"]
            assert len(one.requests) == 3

    @pytest.mark.parametrize("action", [RESET, HALF, (429, "3600"), (503, "3600")], ids=str)
    def test_next_server(self, action: Action) -> None:
        """Another server is asked at once, whatever the first one says about when to come back."""
        with servers([action], []) as (first, second), Client([first.url, second.url]) as client:
            assert outputs(client, "a") == ["a"]
            assert (len(first.requests), len(second.requests)) == (1, 1)

    def test_model_down(self) -> None:
        """A server whose model is down is asked for other models as before."""
        problem = {"type": "urn:tidemill:error:ModelUnavailable", "title": "ModelUnavailable"}
        with servers([503], []) as (first, second), Client([first.url, second.url]) as client:
            first.content = json.dumps(problem | {"status": 503, "detail": "model m:1 fails"})
            assert outputs(client, "a") == ["a"]
            first.content = ""
            assert outputs(client, "b") == ["b"]
            assert (len(first.requests), len(second.requests)) == (2, 1)

    def test_retry_after(self) -> None:
        """A server that is alone is asked again after the time that it names."""
        with servers([(429, "1"), OK]) as (one,), Client(one.url) as client:
            start = time.monotonic()
            assert outputs(client, "a") == ["a"]
            assert time.monotonic() - start >= 1

    def test_too_late(self) -> None:
        """If that time is beyond the deadline, the request fails now and says why."""
        with servers([(429, "3600")]) as (one,), Client(one.url) as client:
            with pytest.raises(ServerOverloaded) as caught:
                outputs(client, "a")
            assert (caught.value.status, caught.value.retry_after) == (429, 3600)
            assert len(one.requests) == 1

    @pytest.mark.parametrize("status", [400, 404, 413, 500])
    def test_final(self, status: int) -> None:
        """Other errors are final, and the next server is not asked."""
        with servers([status], []) as (first, second), Client([first.url, second.url]) as client:
            with pytest.raises(ServerFailed if status == 500 else RequestRefused) as caught:
                outputs(client, "a")
            assert caught.value.status == status
            assert second.requests == []

    def test_budget(self) -> None:
        """In an outage, many requests do not become many more tries."""
        start = time.monotonic()
        with servers([503] * 10_000) as (one,), Client(one.url, timeout=60) as client:
            answers = list(client.predict_iter(MODEL, ["a"] * 400, batch_size=1, concurrency=100))
            assert all(isinstance(a.error, ServerUnavailable | RequestTimedOut) for a in answers)
            retries = len(one.requests) - 400
            # What the bucket holds, and 10 for each second. Without a budget each request would be
            # tried for a minute.
            assert 100 <= retries <= 100 + 10 * (time.monotonic() - start)


class TestDeadline:
    """The time of a request covers all of its tries."""

    def test_stall(self) -> None:
        """A server that hangs costs the deadline, and the error says so."""
        with servers([STALL]) as (one,), Client(one.url) as client:
            with pytest.raises(RequestTimedOut, match=r"no answer within 0\.2 s") as caught:
                outputs(client, "a", timeout=0.2)
            assert caught.value.status == 504

    def test_told(self) -> None:
        """The server gets the time that remains, which is less at the second try."""
        with servers([(503, "1"), OK]) as (one,), Client(one.url) as client:
            assert outputs(client, "a", timeout=100) == ["a"]
            first, second = (float(r[1]["tidemill-timeout"]) for r in one.requests)
            assert 0 < second <= first - 1 < 100

    def test_last_error(self) -> None:
        """If the time ends between tries, the error has that of the last one."""
        final = pytest.raises((RequestTimedOut, ServerUnavailable), match="503")
        with servers([503] * 1000) as (one,), Client(one.url) as client, final:
            outputs(client, "a", timeout=3)

    @pytest.mark.usefixtures("_avoided_for_long")
    def test_then_avoided(self) -> None:
        """A server that hung is avoided by the next request."""
        with servers([STALL], []) as (first, second), Client([first.url, second.url]) as client:
            with pytest.raises(RequestTimedOut):
                outputs(client, "a", timeout=2)
            assert outputs(client, "b") == ["b"]
            assert (len(first.requests), len(second.requests)) == (1, 1)


class TestHedge:
    """A request without an answer goes to a second server too."""

    @pytest.mark.usefixtures("_avoided_for_long")
    def test_hung(self) -> None:
        """The second server answers for one that hangs, which is then avoided."""
        with servers([STALL], []) as (first, second):
            with Client([first.url, second.url]) as client:
                assert outputs(client, "a", hedge_after=1) == ["a"]
                assert outputs(client, "b") == ["b"]
            assert (len(first.requests), len(second.requests)) == (1, 2)

    @pytest.mark.parametrize("action", [RESET, 429, 503], ids=str)
    def test_retried(self, action: Action) -> None:
        """If the second server fails, it is tried again while the first one hangs."""
        with servers([STALL], [action, action]) as (first, second):
            with Client([first.url, second.url], hedge_after=1) as client:
                assert outputs(client, "a") == ["a"]
            assert (len(first.requests), len(second.requests)) == (1, 3)

    def test_said_once(self) -> None:
        """If one server says that the time is over, and the other one hangs, it is said once."""
        problem = {"type": "urn:tidemill:error:DeadlineExceeded", "title": "DeadlineExceeded"}
        with servers([STALL], [504]) as (first, second):
            second.content = json.dumps(problem | {"status": 504, "detail": "no answer within 1 s"})
            final = pytest.raises(RequestTimedOut)
            with Client([first.url, second.url], hedge_after=0.5) as client, final as caught:
                outputs(client, "a", timeout=3)
            assert caught.value.detail == "no answer within 3 s"

    def test_two_at_most(self) -> None:
        """A third server is not asked while two have the request."""
        with servers([STALL], [STALL], []) as (first, second, third):
            urls = [first.url, second.url, third.url]
            with Client(urls, hedge_after=1) as client, pytest.raises(RequestTimedOut):
                outputs(client, "a", timeout=3)
            assert third.requests == []

    def test_hedge_fails(self) -> None:
        """If the second server breaks the connection, the third one answers."""
        with servers([STALL], [RESET], []) as (first, second, third):
            with Client([first.url, second.url, third.url]) as client:
                assert outputs(client, "a", hedge_after=1) == ["a"]
            assert len(third.requests) == 1

    def test_alone(self) -> None:
        """Without a second server, nothing is sent twice."""
        with servers([STALL]) as (one,):
            with Client(one.url, hedge_after=0.1) as client, pytest.raises(RequestTimedOut):
                outputs(client, "a", timeout=2)
            assert len(one.requests) <= 1  # on a busy machine the time may be over before


class TestConnections:
    """Connections are opened, kept and lost."""

    def test_kept(self) -> None:
        """Requests one after another share a connection."""
        with servers([]) as (one,), Client(one.url) as client:
            for _ in range(5):
                outputs(client, "a")
            assert one.connections == 1

    def test_comes_back(self) -> None:
        """A server that disappears and comes back answers a request that waits for it."""
        with servers([]) as (one,), Client(one.url) as client:
            assert outputs(client, "a") == ["a"]
            one.stop()
            threading.Timer(1.0, one.start).start()
            assert outputs(client, "b") == ["b"]

    def test_nobody_listens(self) -> None:
        """If no server comes, the error names the address and what to do."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # so that no other program listens there
            port = unused.getsockname()[1]
            final = pytest.raises((CannotConnect, RequestTimedOut), match=f"127.0.0.1:{port}")
            with Client(f"http://127.0.0.1:{port}", timeout=3) as client, final:
                outputs(client, "a")

    def test_half_open(self) -> None:
        """A port that never accepts costs the time for a connection, not the deadline."""
        with ExitStack() as stack, servers([]) as (one,):
            full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            port = full.getsockname()[1]
            for _ in range(3):  # the queue of connections is full
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            urls = [f"http://127.0.0.1:{port}", one.url]
            model = next(f"m{n}" for n in range(99) if ordered(f"m{n}", urls)[0] == urls[0])
            with Client(urls, connect_timeout=0.2) as asking:
                assert asking.predict(model, ["a"])[0].output == "a"

    def test_garbage(self) -> None:
        """An answer that cannot be read is an error, and no output is made up."""
        with servers([]) as (one,), Client(one.url) as client:
            one.content = '{"outputs": ["one too many", "b"]}'
            with pytest.raises(ServerFailed, match="2 outputs for 1 inputs"):
                outputs(client, "a")
            one.content = '{"outputs": ["cut'
            with pytest.raises(ServerFailed, match="cannot be read"):
                outputs(client, "a")
