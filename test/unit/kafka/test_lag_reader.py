from __future__ import annotations

import threading

import pytest

from tidemill.errors import BrokerUnreachable
from tidemill.kafka import connect
from tidemill.kafka.lag_reader import LagReader
from tidemill.settings import KafkaSettings, StreamSettings

# Nothing listens there.
NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class TestLagReader:
    """The connection is made when it is needed."""

    def test_no_broker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A broker that is away is named, and each try leaves nothing behind."""
        monkeypatch.setitem(connect.TIMEOUTS, "bootstrap_timeout_ms", 1000)
        reader = LagReader(NOWHERE, StreamSettings())
        before = set(threading.enumerate())
        for _ in range(2):
            with pytest.raises(BrokerUnreachable, match="ECONNREFUSED"):
                reader.read(0, ages=True)
        assert set(threading.enumerate()) <= before
