"""A recreated topic is another topic: its messages are not skipped."""

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

    from dev.pipeline.pipeline import Pipeline
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]

# With one key, so that all messages are in one partition.
KEYED = [{**record, "key": b"k"} for record in islice(scenario.messages(), 30)]


def recreate(pipeline: Pipeline) -> None:
    """Delete the input topic and create it again."""
    delete_topic(pipeline.broker.bootstrap_servers, pipeline.source)
    create_topic(pipeline.broker.bootstrap_servers, pipeline.source, partitions=3)


class TestWhileDown:
    """No job runs while the topic is recreated."""

    @pytest.mark.parametrize("count", [5, 30])
    def test_refused(self, pipeline: Pipeline, start: Start, count: int) -> None:
        """The new topic's messages are not mistaken for old ones, however many there are."""
        pipeline.produce(*KEYED[:10])
        assert start(pipeline) is None
        recreate(pipeline)
        pipeline.produce(*KEYED[:count])
        for _ in range(2):
            error = start(pipeline)
            assert type(error) is TopicRecreated, error
            assert "created again" in str(error)
        assert sum(scenario.outcomes(pipeline).values()) == 10

    def test_unknown_id(self, pipeline: Pipeline, start: Start) -> None:
        """Without recorded ids, an offset beyond the topic's end reveals it."""
        pipeline.produce(*KEYED[:10])
        assert start(pipeline) is None
        (pipeline.folder / "checkpoint" / FILE).unlink()
        recreate(pipeline)
        pipeline.produce(*KEYED[:5])
        assert type(start(pipeline)) is TopicRecreated

    def test_new_checkpoint(self, pipeline: Pipeline, start: Start, tmp_path: Path) -> None:
        """With a new checkpoint, as the error advises, the whole new topic is processed."""
        pipeline.produce(*KEYED[:10])
        assert start(pipeline) is None
        recreate(pipeline)
        pipeline.produce(*KEYED[:15])
        error = start(pipeline)
        assert error is not None
        assert "set a new stream.checkpoint_location" in error.hint
        moved = replace(pipeline, folder=tmp_path / "new")
        moved.folder.mkdir()
        assert start(moved) is None
        assert sum(scenario.outcomes(pipeline).values()) == 10 + 15

    def test_other_inputs(
        self, pipeline: Pipeline, start: Start, delivery: str, make_topic: Callable[..., str]
    ) -> None:
        """A start without the topic and one with it process only its new messages."""
        other = make_topic("other")
        both = {"input_topics": (pipeline.source, other)}
        pipeline.produce(*KEYED[:10])
        records.produce(pipeline.broker.bootstrap_servers, other, *KEYED[:7])
        assert start(pipeline, **both) is None
        recreate(pipeline)
        pipeline.produce(*KEYED[:12])
        error = start(pipeline, **both)
        assert error is not None
        assert "start the job once without the topic" in error.hint
        assert start(pipeline, input_topics=(other,)) is None
        assert start(pipeline, **both) is None
        assert len(pipeline.results()) + len(pipeline.dead_letters()) == 10 + 7 + 12, delivery


class TestWhileRunning:
    """A running job detects it."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_named(self, pipeline: Pipeline, delivery: str) -> None:
        """The job ends with a named error within seconds, and so does each later start."""
        pipeline.produce(*KEYED[:10])
        settings = pipeline.environment("Upper", STREAM__DELIVERY=delivery)
        with pipeline.program(settings) as program:
            scenario.wait_for_all(pipeline, program)
            recreate(pipeline)
            pipeline.produce(*KEYED[:13])
            code = program.wait()
        assert (code, "TopicRecreated" in program.output) == (2, True), program.output
        with pipeline.program(settings, "check") as program:
            assert program.wait() == 2
        assert "was deleted and created again" in program.output
