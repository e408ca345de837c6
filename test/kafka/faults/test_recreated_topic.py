"""A topic that was deleted and made anew is another topic: its messages are not passed over."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest
import scenario

from app.errors import DataLoss, GroupOffsetLost, TopicRecreated
from deploy.local.topics import create_topic, delete_topic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lane import Lane

    from app.errors import TidemillError

    Start = Callable[..., TidemillError | None]

# Of one key, so that all messages are in one partition.
KEYED = [{**record, "key": b"k"} for record in islice(scenario.messages(), 30)]


def recreate(lane: Lane) -> None:
    """Delete the input topic, and make one of its name."""
    delete_topic(lane.broker.bootstrap_servers, lane.source)
    create_topic(lane.broker.bootstrap_servers, lane.source, partitions=3)


class TestWhileDown:
    """No job runs while the topic is made anew."""

    @pytest.mark.parametrize("count", [0, 5, 10, 30])
    def test_refused(self, lane: Lane, start: Start, delivery: str, count: int) -> None:
        """However many messages the new topic has, none is taken for one of the old."""
        if delivery == "at-least-once" and count >= 10:
            pytest.skip("at least once knows a new topic by its offsets only")
        lane.produce(*KEYED[:10])
        assert start(lane) is None
        recreate(lane)
        lane.produce(*KEYED[:count])
        for _ in range(2):
            error = start(lane)
            # Kafka deletes a group's offsets with their topic.
            named = TopicRecreated if count < 10 else GroupOffsetLost
            assert type(error) is (named if delivery == "exactly-once" else DataLoss), error
            assert "made anew" in str(error)
        assert sum(scenario.outcomes(lane).values()) == 10

    @pytest.mark.parametrize("count", [5, 10])
    def test_advice(
        self, lane: Lane, start: Start, delivery: str, count: int, tmp_path: Path
    ) -> None:
        """With a new checkpoint, as the error says, all messages of the new topic are answered."""
        lane.produce(*KEYED[:10])
        assert start(lane) is None
        recreate(lane)
        lane.produce(*KEYED[:count])
        if delivery == "exactly-once" or count < 10:
            assert "set a new stream.checkpoint_location" in str(start(lane))
        moved = replace(lane, folder=tmp_path / "new")
        moved.folder.mkdir()
        assert start(moved) is None
        assert sum(scenario.outcomes(lane).values()) == 10 + count


class TestWhileRunning:
    """The job sees it."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_named(self, lane: Lane, delivery: str) -> None:
        """A running job ends by name."""
        lane.produce(*KEYED[:10])
        with lane.program(lane.environment("Upper", STREAM__DELIVERY=delivery)) as program:
            scenario.wait_for_all(lane, program)
            recreate(lane)
            lane.produce(*KEYED[:5])
            code = program.wait()
        if delivery == "exactly-once":
            assert (code, "TopicRecreated" in program.output) == (2, True), program.output
        else:
            assert (code, "DataLoss" in program.output) == (1, True), program.output
