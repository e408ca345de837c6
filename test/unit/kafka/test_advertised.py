from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tidemill.kafka import advertised
from tidemill.kafka.advertised import answering, unreachable
from tidemill.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

KAFKA = KafkaSettings()
NOWHERE = "kafka.nowhere.invalid"


@pytest.fixture
def listening() -> Iterator[int]:
    """Return a port on which a server listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> Iterator[int]:
    """Return a port on which nothing listens, and that no other program gets."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


class TestUnreachable:
    """Brokers whose advertised address is unreachable are named."""

    def test_some(self, monkeypatch: pytest.MonkeyPatch, listening: int, closed: int) -> None:
        """Each has its address and the reason; reachable brokers are left out."""
        brokers = [(1, "127.0.0.1", listening), (2, "127.0.0.1", closed), (3, NOWHERE, 9092)]
        monkeypatch.setattr(advertised, "_brokers", lambda _: brokers)
        assert unreachable(KAFKA) == [
            f"broker 2 advertises 127.0.0.1:{closed} (nothing listens there)",
            f"broker 3 advertises {NOWHERE}:9092 (the name does not resolve)",
        ]

    def test_none(self, monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
        """If all brokers are reachable, the list is empty."""
        monkeypatch.setattr(advertised, "_brokers", lambda _: [(1, "localhost", listening)])
        assert unreachable(KAFKA) == []

    def test_silence(self, monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
        """A look-up or a connection that hangs ends at the timeout."""
        over = threading.Event()
        monkeypatch.setattr(advertised, "CONNECT_TIMEOUT_S", 0.1)
        monkeypatch.setattr(advertised, "_brokers", lambda _: [(1, "a", 1), (2, "b", 2)])
        monkeypatch.setattr(advertised, "_probe", lambda *_: over.wait(60) and None)
        assert unreachable(KAFKA) == [
            "broker 1 advertises a:1 (no answer)",
            "broker 2 advertises b:2 (no answer)",
        ]
        over.set()


class TestAnswering:
    """Only bootstrap servers that accept a connection are used."""

    def test_some(self, listening: int, closed: int) -> None:
        """An absent server is left out; IPv6 addresses may have brackets."""
        servers = [f"127.0.0.1:{closed}", f"127.0.0.1:{listening}", f"[::1]:{closed}"]
        assert answering(servers) == [f"127.0.0.1:{listening}"]

    def test_none(self, closed: int) -> None:
        """If none accepts a connection, the list is empty."""
        assert answering([f"127.0.0.1:{closed}", f"{NOWHERE}:1"]) == []

    def test_one(self, closed: int) -> None:
        """A single server is not probed, because the client connects to it anyway."""
        assert answering([f"127.0.0.1:{closed}"]) == [f"127.0.0.1:{closed}"]

    def test_silence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A silent server is not waited for once another has answered."""
        over = threading.Event()
        monkeypatch.setattr(advertised, "CONNECT_TIMEOUT_S", 120)
        monkeypatch.setattr(
            advertised, "_probe", lambda host, _: over.wait(60) and "late" if host == "a" else None
        )
        assert answering(["a:1", "b:1"]) == ["b:1"]
        over.set()
