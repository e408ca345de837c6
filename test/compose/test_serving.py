"""Run `make up-serving` on a real engine: two servers behind a proxy."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import requests
from pool_processes import wait_until

from dev.containers.stack import BUILD_S
from dev.kafka.ports import HOST

if TYPE_CHECKING:
    from dev.containers.stack import Stack

pytestmark = pytest.mark.timeout(BUILD_S)

SERVERS = ("serve-1", "serve-2")


@pytest.fixture(scope="module")
def url(stack: Stack) -> str:
    """The proxy's address; both servers are ready."""
    stack.make("up-serving")
    return f"http://{HOST}:{stack.ports['HTTP_PORT']}"


def ask(url: str) -> int:
    """Ask a model for the names in a text; return the status."""
    body = {"inputs": ["Ada Lovelace met Charles Babbage."]}
    return requests.post(f"{url}/ner-en", json=body, timeout=60).status_code


def up(stack: Stack) -> int:
    """Return how many servers the proxy sends requests to."""
    url = f"http://{HOST}:{stack.ports['STATS_PORT']}/metrics"
    lines = requests.get(url, timeout=10).text.splitlines()
    start = 'haproxy_server_status{proxy="http-servers"'
    return sum(line.startswith(start) and 'state="UP"} 1' in line for line in lines)


class TestServing:
    """One of the servers may end."""

    def test_killed(self, stack: Stack, url: str) -> None:
        """Whichever is killed, the other answers; after a start both do."""
        for server in SERVERS:
            wait_until(lambda: up(stack) == len(SERVERS))
            stack.docker("kill", f"{stack.name}-{server}")
            assert [ask(url) for _ in range(20)] == [200] * 20
            stack.docker("start", f"{stack.name}-{server}")
        wait_until(lambda: up(stack) == len(SERVERS))

    def test_new_code(self, stack: Stack, url: str) -> None:
        """`make up-serving` again replaces both servers, and no request fails."""
        statuses: list[int] = []
        stop = threading.Event()

        def keep_asking() -> None:
            while not stop.is_set():
                statuses.append(ask(url))

        thread = threading.Thread(target=keep_asking)
        thread.start()
        try:
            stack.make("up-serving")
        finally:
            stop.set()
            thread.join()
        assert set(statuses) == {200}

    def test_secure(self, stack: Stack, url: str) -> None:
        """Ports are published to this machine only; servers are not root and change no file."""
        for container in stack.names("container"):
            for line in stack.docker("port", container).splitlines():
                assert line.split(" -> ")[1].startswith("127.0.0.1:"), (container, line)
        inside = "exec", f"{stack.name}-serve-1", "sh", "-c"
        assert stack.docker(*inside, "id -u").strip() == "10001"
        assert stack.docker(*inside, "touch /home/tidemill/x || echo refused").strip() == "refused"

    def test_down(self, stack: Stack, url: str) -> None:
        """`make down` removes all of it."""
        stack.make("down")
        assert [stack.names(kind) for kind in ("container", "network")] == [[], []]
