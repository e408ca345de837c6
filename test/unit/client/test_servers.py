from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clock import Clock
from hypothesis import given
from hypothesis import strategies as st

from tidemill.client.endpoints import parse
from tidemill.client.rendezvous import ordered
from tidemill.client.servers import AVOID_LONGEST_S, Server, Servers

if TYPE_CHECKING:
    from collections.abc import Iterator

URLS = [f"http://127.0.0.1:{port}" for port in (8001, 8002, 8003)]
MODEL = "ner-en"
ORDER = ordered(MODEL, URLS)


@pytest.fixture
def servers(clock: Clock) -> Servers:
    """Return three servers."""
    return Servers(parse(URLS), clock)


def chosen(servers: Servers, *tried: str) -> Server:
    """Return the server for a request."""
    server = servers.choose(MODEL, tried)
    assert server is not None
    return server


class TestChoose:
    """A request goes to the first server in its model's order that works."""

    def test_order(self, servers: Servers) -> None:
        """Each try goes to the next server, until all have been tried."""
        tried: list[str] = []
        while (server := servers.choose(MODEL, tried)) is not None:
            assert servers.is_other_free(MODEL, tried)
            tried.append(server.url)
        assert tried == ORDER
        assert not servers.is_other_free(MODEL, tried)

    def test_avoided(self, servers: Servers, clock: Clock) -> None:
        """A server that failed comes last, until its time is over."""
        servers.note_failure(chosen(servers), clock.now)
        assert chosen(servers).url == ORDER[1]
        assert chosen(servers, *ORDER[1:]).url == ORDER[0]  # better than none
        assert not servers.is_other_free(MODEL, ORDER[1:])
        clock.now += 1.1
        assert chosen(servers).url == ORDER[0]

    def test_soonest(self, servers: Servers, clock: Clock) -> None:
        """If all have failed, the one whose time is over soonest is the first."""
        tried: list[str] = []
        for url in reversed(ORDER):
            server = chosen(servers, *(each for each in ORDER if each != url))
            servers.note_failure(server, clock.now)
            clock.now += 0.1
        while (found := servers.choose(MODEL, tried)) is not None:
            tried.append(found.url)
        assert tried == ORDER[::-1]

    def test_one_finds_out(self, servers: Servers, clock: Clock) -> None:
        """When the time is over, one request tries the server; others wait for its answer."""
        server = chosen(servers)
        servers.note_failure(server, clock.now)
        clock.now += 1.1
        assert [chosen(servers).url for _ in range(3)] == [ORDER[0], ORDER[1], ORDER[1]]
        servers.note_answer(server)
        assert chosen(servers).url == ORDER[0]

    def test_growing(self, servers: Servers, clock: Clock) -> None:
        """The time doubles with each failure after another, up to a limit."""
        times = []
        server = chosen(servers)
        for _ in range(8):
            clock.now += 100
            servers.note_failure(server, clock.now)
            times.append(server.avoided_until - clock.now)
        assert times == [1, 2, 4, 8, 16, 30, 30, 30]
        assert times[-1] == AVOID_LONGEST_S

    def test_together(self, servers: Servers, clock: Clock) -> None:
        """Requests that fail together count as one failure."""
        server, since = chosen(servers), clock.now
        for _ in range(9):
            clock.now += 0.01
            servers.note_failure(server, since)
        assert server.failures == 1

    def test_slow_only(self, servers: Servers, clock: Clock) -> None:
        """A server that has answered others in the meantime is not avoided."""
        server, since = chosen(servers), clock.now
        clock.now += 1
        servers.note_answer(server)
        servers.note_failure(server, since)
        assert chosen(servers).url == ORDER[0]

    @given(st.sets(st.sampled_from(URLS)), st.sets(st.sampled_from(URLS), min_size=1), st.text())
    def test_replaced(self, before: set[str], after: set[str], model: str) -> None:
        """Servers come and go; those that stay are remembered."""
        clock = Clock()
        servers = Servers(parse(before) if before else (), clock)
        kept = {url: server for url in before & after for server in all_of(servers, url)}
        gone = servers.replace(parse(after))
        assert {server.url for server in gone} == before - after
        server = servers.choose(model)
        assert server is not None
        assert server.url == ordered(model, after)[0]
        assert server is kept.get(server.url, server)


def all_of(servers: Servers, url: str) -> Iterator[Server]:
    """Yield the server with a URL."""
    server = servers.choose("", {each for each in URLS if each != url})
    if server is not None:
        yield server
