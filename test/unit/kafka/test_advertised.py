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
    """A port where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class TestUnreachable:
    """Of a cluster's brokers, those are named that cannot be reached where they say they are."""

    def test_some(self, monkeypatch: pytest.MonkeyPatch, listening: int, closed: int) -> None:
        """Each with its address and the reason; a broker that can be reached is not named."""
        brokers = [(1, "127.0.0.1", listening), (2, "127.0.0.1", closed), (3, NOWHERE, 9092)]
        monkeypatch.setattr(advertised, "_brokers", lambda _: brokers)
        assert unreachable(KAFKA) == [
            f"broker 2 advertises 127.0.0.1:{closed} (nothing listens there)",
            f"broker 3 advertises {NOWHERE}:9092 (the name does not resolve)",
        ]

    def test_none(self, monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
        """Where all can be reached there is nothing to say."""
        monkeypatch.setattr(advertised, "_brokers", lambda _: [(1, "localhost", listening)])
        assert unreachable(KAFKA) == []

    def test_silence(self, monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
        """A look-up or a connection that hangs is waited for no longer than one's patience."""
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
    """Of several bootstrap servers, those are asked that can be connected to."""

    def test_some(self, listening: int, closed: int) -> None:
        """One that is away is left out; of an IPv6 address the brackets are no part."""
        servers = [f"127.0.0.1:{closed}", f"127.0.0.1:{listening}", f"[::1]:{closed}"]
        assert answering(servers) == [f"127.0.0.1:{listening}"]

    def test_none(self, closed: int) -> None:
        """Perhaps none is there."""
        assert answering([f"127.0.0.1:{closed}", f"{NOWHERE}:1"]) == []

    def test_one(self, closed: int) -> None:
        """A single one is not tried twice: the client does it."""
        assert answering([f"127.0.0.1:{closed}"]) == [f"127.0.0.1:{closed}"]

    def test_silence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that is silent is waited for no longer once another has answered."""
        over = threading.Event()
        monkeypatch.setattr(advertised, "CONNECT_TIMEOUT_S", 120)
        monkeypatch.setattr(
            advertised, "_probe", lambda host, _: over.wait(60) and "late" if host == "a" else None
        )
        assert answering(["a:1", "b:1"]) == ["b:1"]
        over.set()
