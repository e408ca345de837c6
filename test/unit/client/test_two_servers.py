"""Two real servers, one of which is killed or stopped under load: no request fails."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import server_process
from pool_processes import wait_until

from dev.kafka.ports import free_ports
from tidemill.client import Client
from tidemill.client.rendezvous import ordered
from tidemill.errors import RequestTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from server_process import Server

    from tidemill.client import Answer

MODEL, THREADS, BEFORE, AFTER = "upper", 8, 20, 200
TIMEOUT = 120.0


@pytest.fixture(scope="module")
def survivor() -> Iterator[Server]:
    """Return a server that no test ends."""
    with running_at(place=-1) as one:
        yield one


@pytest.fixture
def servers(survivor: Server) -> Iterator[list[Server]]:
    """Return a server that a test may end, which the model's requests go to, and the survivor."""
    with running_at(place=0) as first:
        yield [first, survivor]


def running_at(place: int) -> AbstractContextManager[Server]:
    """Run a server at free ports that are the first or the last ones for the model's requests."""
    ports = {}
    for scheme in ("http", "grpc"):
        order = ordered(MODEL, [f"{scheme}://127.0.0.1:{port}" for port in free_ports(12)])
        ports[f"{scheme}_port"] = int(order[place].rpartition(":")[2])
    return server_process.running(processes=1, **ports)


def url(server: Server, scheme: str) -> str:
    """Return the URL of a server."""
    return f"http://127.0.0.1:{server.port}" if scheme == "http" else f"grpc://{server.address}"


def urls(servers: list[Server], scheme: str) -> list[str]:
    """Return the URLs of servers."""
    return [url(server, scheme) for server in servers]


@contextmanager
def load(client: Client) -> Iterator[list[Answer]]:
    """Send requests from several threads: some before the context runs, and some after it."""
    answers: list[Answer] = []
    goes_on = threading.Event()
    failures: list[Exception] = []

    def ask() -> None:
        after = 0
        while after < AFTER // THREADS:
            after += goes_on.is_set()
            try:
                answers.extend(client.predict(MODEL, ["a", "b"]))
            except Exception as error:  # noqa: BLE001 - the test shows it
                failures.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers) >= BEFORE or bool(failures), TIMEOUT)
    yield answers
    goes_on.set()
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert failures == []


@pytest.mark.parametrize("scheme", ["http", "grpc"])
class TestUnderLoad:
    """One server fails while both protocols carry requests."""

    def test_killed(self, servers: list[Server], scheme: str) -> None:
        """Requests of a server that is killed are answered by the other one."""
        with Client(urls(servers, scheme)) as client:
            with load(client) as answers:
                servers[0].process.kill()
                servers[0].process.wait()
            assert {answer.text for answer in answers} == {'"A"', '"B"'}

    def test_stopped(self, servers: list[Server], scheme: str) -> None:
        """Requests of a server that hangs are answered by the other one, with hedging."""
        with Client(urls(servers, scheme), hedge_after=0.3) as client:
            with load(client) as answers:
                servers[0].process.send_signal(signal.SIGSTOP)
            assert {answer.text for answer in answers} == {'"A"', '"B"'}
        servers[0].process.send_signal(signal.SIGCONT)

    def test_drained(self, servers: list[Server], scheme: str) -> None:
        """A server that stops for an update loses no request."""
        with Client(urls(servers, scheme)) as client:
            with load(client) as answers:
                assert servers[0].stop() == 0
            assert {answer.text for answer in answers} == {'"A"', '"B"'}


@pytest.mark.usefixtures("_avoided_for_long")
@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_avoided(servers: list[Server], scheme: str) -> None:
    """A server that hangs costs the deadline of one request; the next ones avoid it."""
    with Client(urls(servers, scheme)) as client:
        assert client.predict(MODEL, ["a"])[0].output == "A"
        servers[0].process.send_signal(signal.SIGSTOP)
        with pytest.raises(RequestTimedOut, match="no answer within"):
            client.predict(MODEL, ["b"], timeout=1)
        assert client.predict(MODEL, ["c"])[0].output == "C"


def test_no_sign_of_life(servers: list[Server]) -> None:
    """Over gRPC a server that hangs is noticed without hedging: it answers no ping."""
    with Client(urls(servers, "grpc"), timeout=50) as client:  # 15 s are enough
        assert client.predict(MODEL, ["a"])[0].output == "A"
        servers[0].process.send_signal(signal.SIGSTOP)
        assert client.predict(MODEL, ["b"])[0].output == "B"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_restarted(scheme: str) -> None:
    """A server that starts again on its port answers the request that waited for it."""
    ports = dict(zip(("http_port", "grpc_port"), free_ports(2), strict=True))
    with (
        server_process.running(processes=1, **ports) as one,
        Client(url(one, scheme), timeout=TIMEOUT) as client,
    ):
        assert client.predict(MODEL, ["a"])[0].output == "A"
        one.process.kill()
        one.process.wait()
        waiting = client.submit(MODEL, ["b"])
        with server_process.running(processes=1, **ports):
            assert waiting.result(TIMEOUT)[0].output == "B"
