"""A broker answers, but advertises an unreachable address."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dev.kafka.broker import Broker, free_listeners
from dev.kafka.distribution import fetch_kafka
from dev.kafka.ports import HOST, free_ports
from tidemill import check
from tidemill.dead_letters import group as dead_letters
from tidemill.errors import AdvertisedUnreachable
from tidemill.kafka import failures, reader
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.kafka.lag_reader import LagReader
from tidemill.settings import KafkaSettings, Settings, StreamSettings
from tidemill.streaming import preflight

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNRESOLVABLE = "kafka.nowhere.invalid:9092"


@pytest.fixture(scope="module")
def astray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, KafkaSettings]]:
    """Start a broker with two wrongly advertised listeners; return their addresses by fault."""
    listeners = free_listeners()
    name, port, closed = free_ports(3)
    plain = f"PLAINTEXT://{HOST}:{listeners.plain}"
    controller = f"CONTROLLER://{HOST}:{listeners.controller}"
    names = ("PLAINTEXT", "CONTROLLER", "NAME", "PORT")
    properties = {
        "listeners": f"{plain},{controller},NAME://{HOST}:{name},PORT://{HOST}:{port}",
        "advertised.listeners": f"{plain},NAME://{UNRESOLVABLE},PORT://{HOST}:{closed}",
        "listener.security.protocol.map": ",".join(f"{n}:PLAINTEXT" for n in names),
    }
    folder: Path = tmp_path_factory.mktemp("astray")
    with Broker(folder, fetch_kafka(), listeners=listeners, properties=properties):
        yield {
            rf"{UNRESOLVABLE} \(the name does not resolve\)": KafkaSettings(
                bootstrap_servers=f"{HOST}:{name}"
            ),
            rf"{HOST}:{closed} \(nothing listens there\)": KafkaSettings(
                bootstrap_servers=f"{HOST}:{port}"
            ),
        }


class TestNamed:
    """The error names the wrong address, and the broker's setting."""

    def test_everywhere(
        self, astray: dict[str, KafkaSettings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A start, the lag, a commit and dead letters report it, with both client libraries."""
        monkeypatch.setattr(reader, "READ_TIMEOUT_S", 1)
        stream = StreamSettings()
        for wrong, kafka in astray.items():
            expected = (
                rf"(?s)answers at {HOST}:\d+, but broker 1 advertises {wrong}.*advertised.list"
            )
            with pytest.raises(AdvertisedUnreachable, match=expected):
                preflight.check(kafka, stream)
            with (
                closing(LagReader(kafka, stream)) as lag,
                pytest.raises(AdvertisedUnreachable, match=expected),
            ):
                lag.read(time.time(), ages=True)
            with (
                closing(GroupCommitter(kafka, "g")) as commit,
                pytest.raises(AdvertisedUnreachable, match=expected),
                failures.kafka_errors(kafka),
            ):
                commit({("t", 0): 1})
            with pytest.raises(AdvertisedUnreachable, match=expected):
                dead_letters.offset_ranges(kafka, "t")
            with pytest.raises(AdvertisedUnreachable, match=expected):
                list(reader.records(kafka, "t", {0: range(1)}))

    def test_check(self, astray: dict[str, KafkaSettings], tmp_path: Path) -> None:
        """`check` reports it, and skips the other checks."""
        for wrong, kafka in astray.items():
            settings = Settings(kafka=kafka, models=tmp_path / "none.yaml")
            *_, last = check.check(settings)
            assert isinstance(last.error, AdvertisedUnreachable)
            assert wrong.partition(" ")[0] in last.message
