"""Topics join and leave the inputs of a job that has a checkpoint."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest

from dev.kafka.topics import create_topic, delete_records, delete_topic
from dev.pipeline import records
from faults import scenario
from tidemill.errors import InputTopicRemoved, InvalidStartingOffsets

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]


@pytest.fixture
def other(make_topic: Callable[..., str]) -> str:
    """A second input topic."""
    return make_topic("other")


def send(pipeline: Pipeline, topic: str, count: int) -> None:
    """Send a number of messages."""
    records.produce(pipeline.broker.bootstrap_servers, topic, *islice(scenario.messages(), count))


def processed(pipeline: Pipeline) -> int:
    """Return the number of outcomes."""
    return len(pipeline.results()) + len(pipeline.dead_letters())


class TestWhileDown:
    """The inputs change between two runs."""

    def test_removed_from_the_settings(self, pipeline: Pipeline, other: str, start: Start) -> None:
        """A processed topic may leave; one with unprocessed messages must come back first."""
        both = {"input_topics": (pipeline.source, other)}
        send(pipeline, pipeline.source, 6)
        send(pipeline, other, 5)
        assert start(pipeline, **both) is None
        send(pipeline, other, 4)
        send(pipeline, pipeline.source, 3)
        for _ in range(2):
            error = start(pipeline)
            assert type(error) is InputTopicRemoved, error
            assert f"topic {other} is no longer an input" in str(error)
            assert processed(pipeline) == 6 + 5
        assert start(pipeline, **both) is None
        assert processed(pipeline) == 6 + 5 + 4 + 3
        send(pipeline, pipeline.source, 2)
        assert start(pipeline) is None
        send(pipeline, other, 1)
        assert start(pipeline, **both) is None
        assert processed(pipeline) == 6 + 5 + 4 + 3 + 2 + 1, "a returning topic starts over"

    def test_deleted(self, pipeline: Pipeline, start: Start) -> None:
        """A processed topic may be deleted, and a new one match the pattern."""
        daily = {"input_pattern": f"{pipeline.source}.*", "input_topics": ()}
        servers = pipeline.broker.bootstrap_servers
        create_topic(servers, f"{pipeline.source}-1")
        send(pipeline, f"{pipeline.source}-1", 5)
        assert start(pipeline, **daily, max_offsets_per_trigger=2) is None
        delete_topic(servers, f"{pipeline.source}-1")
        create_topic(servers, f"{pipeline.source}-2")
        send(pipeline, f"{pipeline.source}-2", 4)
        assert start(pipeline, **daily) is None
        assert processed(pipeline) == 5 + 4
        send(pipeline, pipeline.source, 3)
        assert start(pipeline, **daily) is None
        assert processed(pipeline) == 5 + 4 + 3

    def test_given_up(self, pipeline: Pipeline, other: str, start: Start) -> None:
        """Unprocessed messages are skipped if losses are accepted."""
        send(pipeline, pipeline.source, 6)
        send(pipeline, other, 5)
        assert start(pipeline, input_topics=(pipeline.source, other)) is None
        send(pipeline, other, 4)
        send(pipeline, pipeline.source, 3)
        assert start(pipeline, fail_on_data_loss=False) is None
        assert processed(pipeline) == 6 + 5 + 3
        assert start(pipeline) is None

    def test_added(self, pipeline: Pipeline, other: str, start: Start) -> None:
        """A topic whose first records are deleted is processed from the first remaining one."""
        send(pipeline, pipeline.source, 6)
        send(pipeline, other, 5)
        delete_records(pipeline.broker.bootstrap_servers, other, {0: 3})
        assert start(pipeline) is None
        assert start(pipeline, input_topics=(pipeline.source, other)) is None
        assert processed(pipeline) == 6 + 2


class TestWhileRunning:
    """A running job continues if a processed topic is deleted."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_deleted(self, pipeline: Pipeline, delivery: str) -> None:
        """It logs a line, and processes the messages of other topics, old and new."""
        servers = pipeline.broker.bootstrap_servers
        create_topic(servers, f"{pipeline.source}-1")
        send(pipeline, f"{pipeline.source}-1", 5)
        settings = pipeline.environment("Upper", STREAM__DELIVERY=delivery)
        del settings["TIDEMILL__STREAM__INPUT_TOPICS"]
        settings["TIDEMILL__STREAM__INPUT_PATTERN"] = f"{pipeline.source}.*"
        with pipeline.program(settings) as program:
            self.wait(pipeline, program, 5)
            program.wait_for("answered ")
            delete_topic(servers, f"{pipeline.source}-1")
            program.wait_for("no longer reading a partition")
            send(pipeline, pipeline.source, 3)
            create_topic(servers, f"{pipeline.source}-2")
            send(pipeline, f"{pipeline.source}-2", 4)
            self.wait(pipeline, program, 5 + 3 + 4)
            scenario.end(program)
        assert processed(pipeline) == 5 + 3 + 4

    @staticmethod
    def wait(pipeline: Pipeline, program: JobProcess, count: int) -> None:
        """Wait for a number of outcomes."""

        def complete() -> bool:
            program.must_run()
            return processed(pipeline) >= count

        scenario.wait_until(complete, details=lambda: f":\n{program.output}")


class TestStartingOffsets:
    """A job without a checkpoint follows the setting."""

    def test_some_partitions(self, pipeline: Pipeline, start: Start) -> None:
        """Partitions that the setting does not name start at the earliest offset."""
        for value in range(9):
            pipeline.produce({"value": b"%d" % value, "partition": value % 3})
        error = start(pipeline, starting_offsets={pipeline.source: {"3": 0}})
        assert type(error) is InvalidStartingOffsets
        error = start(pipeline, starting_offsets={pipeline.source: {"1": 4}})
        assert type(error) is InvalidStartingOffsets
        assert start(pipeline, starting_offsets={pipeline.source: {"1": 2}}) is None
        assert processed(pipeline) == 3 + 1 + 3
