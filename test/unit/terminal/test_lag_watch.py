from __future__ import annotations

import io
import json
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tidemill.errors import BrokerUnreachable, KafkaAuthFailed
from tidemill.kafka.lag import LagSnapshot, PartitionLag
from tidemill.terminal.lag_watch import once, samples, watch

if TYPE_CHECKING:
    from collections.abc import Callable

AWAY = BrokerUnreachable("b:1", "away")


class World:
    """A clock, and a topic that gets a message every second, of which half are answered."""

    def __init__(self, *fails: int, error: Exception = AWAY, ends_after: int = 1000) -> None:
        self.time = 0.0
        self.looked = 0
        self._fails = fails
        self._error = error
        self._ends_after = ends_after

    def look(self) -> LagSnapshot:
        """Return a snapshot, as a lag reader does."""
        self.looked += 1
        if self.looked in self._fails:
            raise self._error
        seconds = int(self.time)
        return LagSnapshot(self.time, (PartitionLag("t", 0, 0, seconds, seconds // 2),))

    def pause(self, seconds: float) -> None:
        """Advance the clock; raise Ctrl-C at the end."""
        self.time += seconds
        if self.looked >= self._ends_after:
            raise KeyboardInterrupt


def show(how: Callable[..., None], world: World, *, as_json: bool, terminal: bool = False) -> str:
    """Return the printed text."""
    file = io.StringIO()
    console = Console(file=file, width=100, height=40, force_terminal=terminal)
    how(console, "g", world.look, every=2, as_json=as_json, pause=world.pause)
    return file.getvalue()


class TestLooks:
    """Each sample has a snapshot to compare it with."""

    def test_window(self) -> None:
        """A sample is compared with the oldest snapshot of the last minute."""
        world = World()
        seen = list(islice(samples(world.look, 10, world.pause), 10))
        assert [sample.now.time for sample in seen] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
        assert [sample.then and sample.then.time for sample in seen] == [
            *(None, 0, 0, 0, 0, 0, 0),
            *(10, 20, 30),
        ]

    def test_rare(self) -> None:
        """If readings are further apart, a sample is compared with the previous one."""
        world = World()
        seen = list(islice(samples(world.look, 100, world.pause), 4))
        assert [sample.then and sample.then.time for sample in seen] == [None, 0, 100, 200]

    def test_broker_away(self) -> None:
        """While the broker is unreachable, the last snapshot is repeated, with the reason."""
        world = World(3, 4)
        seen = list(islice(samples(world.look, 2, world.pause), 5))
        assert [sample.now.time for sample in seen] == [0, 2, 2, 2, 8]
        assert [sample.error for sample in seen] == [None, None, str(AWAY), str(AWAY), None]

    def test_broker_away_from_the_start(self) -> None:
        """If the first reading fails, that is an error, because the address may be wrong."""
        with pytest.raises(BrokerUnreachable):
            next(samples(World(1).look, 2))

    def test_refused(self) -> None:
        """A refusal is an error at any time."""
        world = World(2, error=KafkaAuthFailed("b:1", "no"))
        with pytest.raises(KafkaAuthFailed):
            list(islice(samples(world.look, 2, world.pause), 3))


class TestOnce:
    """Without --watch, the lag is read twice and shown once."""

    def test_table(self) -> None:
        """The table has rates."""
        text = show(once, World(), as_json=False)
        assert "falls behind: 1.0/s arrive, 0.5/s are answered" in text

    def test_json(self) -> None:
        """The output is one line of JSON and nothing else."""
        (line,) = show(once, World(), as_json=True).splitlines()
        assert json.loads(line)["total"]["rate"] == 0.5

    def test_broker_away(self) -> None:
        """If the broker is unreachable, nothing is shown."""
        with pytest.raises(BrokerUnreachable):
            show(once, World(2), as_json=False)


class TestWatch:
    """With --watch, readings repeat until Ctrl-C, which is not an error."""

    def test_json(self) -> None:
        """Each reading is a line, even while the broker is unreachable."""
        lines = show(watch, World(3, ends_after=5), as_json=True).splitlines()
        documents = [json.loads(line) for line in lines]
        assert [d["partitions"][0]["end"] for d in documents] == [0, 2, 2, 6, 8]
        assert [d["trouble"] for d in documents] == [None, None, str(AWAY), None, None]

    def test_no_terminal(self) -> None:
        """Each reading is a table."""
        text = show(watch, World(2, ends_after=3), as_json=False)
        assert text.count("lag of the group g") == 3
        assert text.count("away") == 1

    def test_terminal(self) -> None:
        """In a terminal, each table replaces the last one."""
        text = show(watch, World(ends_after=3), as_json=False, terminal=True)
        assert text.count("lag of the group g") >= 3
        assert "\x1b[1A" in text
