"""A topic that was deleted and made anew is another topic: its messages are not passed over."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from dev.kafka.topics import create_topic, delete_topic
from dev.pipeline import records
from faults import scenario
from tidemill.errors import TopicRecreated
from tidemill.streaming.checkpoint.topic_record import FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dev.pipeline.pipeline import Lane
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]

# Of one key, so that all messages are in one partition.
KEYED = [{**record, "key": b"k"} for record in islice(scenario.messages(), 30)]


def recreate(lane: Lane) -> None:
    """Delete the input topic, and make one of its name."""
    delete_topic(lane.broker.bootstrap_servers, lane.source)
    create_topic(lane.broker.bootstrap_servers, lane.source, partitions=3)


class TestWhileDown:
    """No job runs while the topic is made anew."""

    @pytest.mark.parametrize("count", [5, 30])
    def test_refused(self, lane: Lane, start: Start, count: int) -> None:
        """However many messages the new topic has, none is taken for one of the old."""
        lane.produce(*KEYED[:10])
        assert start(lane) is None
        recreate(lane)
        lane.produce(*KEYED[:count])
        for _ in range(2):
            error = start(lane)
            assert type(error) is TopicRecreated, error
            assert "made anew" in str(error)
        assert sum(scenario.outcomes(lane).values()) == 10

    def test_unknown_id(self, lane: Lane, start: Start) -> None:
        """A checkpoint of before ids were kept shows it by an offset beyond the topic's end."""
        lane.produce(*KEYED[:10])
        assert start(lane) is None
        (lane.folder / "checkpoint" / FILE).unlink()
        recreate(lane)
        lane.produce(*KEYED[:5])
        assert type(start(lane)) is TopicRecreated

    def test_new_checkpoint(self, lane: Lane, start: Start, tmp_path: Path) -> None:
        """With a new checkpoint, as the error says, all messages of the new topic are answered."""
        lane.produce(*KEYED[:10])
        assert start(lane) is None
        recreate(lane)
        lane.produce(*KEYED[:15])
        assert "set a new stream.checkpoint_location" in str(start(lane))
        moved = replace(lane, folder=tmp_path / "new")
        moved.folder.mkdir()
        assert start(moved) is None
        assert sum(scenario.outcomes(lane).values()) == 10 + 15

    def test_other_inputs(
        self, lane: Lane, start: Start, delivery: str, make_topic: Callable[..., str]
    ) -> None:
        """A start without the topic, and one with it, answer its new messages and no old one."""
        other = make_topic("other")
        both = {"input_topics": (lane.source, other)}
        lane.produce(*KEYED[:10])
        records.produce(lane.broker.bootstrap_servers, other, *KEYED[:7])
        assert start(lane, **both) is None
        recreate(lane)
        lane.produce(*KEYED[:12])
        assert "start the job once without the topic" in str(start(lane, **both))
        assert start(lane, input_topics=(other,)) is None
        assert start(lane, **both) is None
        assert len(lane.results()) + len(lane.dead_letters()) == 10 + 7 + 12, delivery


class TestWhileRunning:
    """The job sees it."""

    @pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
    def test_named(self, lane: Lane, delivery: str) -> None:
        """A running job ends by name within seconds, and so does each later start."""
        lane.produce(*KEYED[:10])
        settings = lane.environment("Upper", STREAM__DELIVERY=delivery)
        with lane.program(settings) as program:
            scenario.wait_for_all(lane, program)
            recreate(lane)
            lane.produce(*KEYED[:13])
            code = program.wait()
        assert (code, "TopicRecreated" in program.output) == (2, True), program.output
        with lane.program(settings, "check") as program:
            assert program.wait() == 2
        assert "was deleted and made anew" in program.output
