from __future__ import annotations

import threading

import pytest

from app import reach
from app.errors import BrokerUnreachable
from app.monitoring.lag import LagReader
from app.settings import KafkaSettings, StreamSettings

# Nobody listens there.
NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class TestLagReader:
    """The connection is made when it is needed."""

    def test_no_broker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A broker that is away is named, and each try leaves nothing behind."""
        monkeypatch.setitem(reach.PATIENCE, "bootstrap_timeout_ms", 1000)
        reader = LagReader(NOWHERE, StreamSettings())
        before = set(threading.enumerate())
        for _ in range(2):
            with pytest.raises(BrokerUnreachable, match="ECONNREFUSED"):
                reader.look(0, ages=True)
        assert set(threading.enumerate()) <= before
