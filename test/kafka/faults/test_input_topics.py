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
    """Send so many messages."""
    records.produce(pipeline.broker.bootstrap_servers, topic, *islice(scenario.messages(), count))


def answered(pipeline: Pipeline) -> int:
    """Return how many outcomes there are."""
    return len(pipeline.results()) + len(pipeline.dead_letters())


class TestWhileDown:
    """The inputs change between two runs."""

    def test_removed_from_the_settings(self, pipeline: Pipeline, other: str, start: Start) -> None:
        """An answered topic may go; one with unanswered messages is resumed when it is back."""
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
            assert answered(pipeline) == 6 + 5
        assert start(pipeline, **both) is None
        assert answered(pipeline) == 6 + 5 + 4 + 3
        send(pipeline, pipeline.source, 2)
        assert start(pipeline) is None
        send(pipeline, other, 1)
        assert start(pipeline, **both) is None
        assert answered(pipeline) == 6 + 5 + 4 + 3 + 2 + 1, "what comes back goes on where it was"

    def test_deleted(self, pipeline: Pipeline, start: Start) -> None:
        """Of daily topics an answered one may be deleted, and a new one come."""
        daily = {"input_pattern": f"{pipeline.source}.*", "input_topics": ()}
        servers = pipeline.broker.bootstrap_servers
        create_topic(servers, f"{pipeline.source}-1")
        send(pipeline, f"{pipeline.source}-1", 5)
        assert start(pipeline, **daily, max_offsets_per_trigger=2) is None
        delete_topic(servers, f"{pipeline.source}-1")
        create_topic(servers, f"{pipeline.source}-2")
        send(pipeline, f"{pipeline.source}-2", 4)
        assert start(pipeline, **daily) is None
        assert answered(pipeline) == 5 + 4
        send(pipeline, pipeline.source, 3)
        assert start(pipeline, **daily) is None
        assert answered(pipeline) == 5 + 4 + 3

    def test_given_up(self, pipeline: Pipeline, other: str, start: Start) -> None:
        """Unanswered messages are passed over if losses are accepted."""
        send(pipeline, pipeline.source, 6)
        send(pipeline, other, 5)
        assert start(pipeline, input_topics=(pipeline.source, other)) is None
        send(pipeline, other, 4)
        send(pipeline, pipeline.source, 3)
        assert start(pipeline, fail_on_data_loss=False) is None
        assert answered(pipeline) == 6 + 5 + 3
        assert start(pipeline) is None

    def test_added(self, pipeline: Pipeline, other: str, start: Start) -> None:
        """A topic of which retention has removed the beginning is answered from what is left."""
        send(pipeline, pipeline.source, 6)
        send(pipeline, other, 5)
        delete_records(pipeline.broker.bootstrap_servers, other, {0: 3})
        assert start(pipeline) is None
        assert start(pipeline, input_topics=(pipeline.source, other)) is None
        assert answered(pipeline) == 6 + 2


class TestWhileRunning:
    """A running job goes on when an answered topic is deleted."""

    @pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
    def test_deleted(self, pipeline: Pipeline, delivery: str) -> None:
        """It says so in a line, and answers what comes in other topics, old and new."""
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
        assert answered(pipeline) == 5 + 3 + 4

    @staticmethod
    def wait(pipeline: Pipeline, program: JobProcess, count: int) -> None:
        """Wait for so many outcomes."""

        def complete() -> bool:
            program.must_run()
            return answered(pipeline) >= count

        scenario.wait_until(complete, tell=lambda: f":\n{program.output}")


class TestStartingOffsets:
    """Where a job without a checkpoint starts."""

    def test_some_partitions(self, pipeline: Pipeline, start: Start) -> None:
        """Partitions that the setting does not name start at the earliest offset."""
        for value in range(9):
            pipeline.produce({"value": b"%d" % value, "partition": value % 3})
        error = start(pipeline, starting_offsets={pipeline.source: {"3": 0}})
        assert type(error) is InvalidStartingOffsets
        error = start(pipeline, starting_offsets={pipeline.source: {"1": 4}})
        assert type(error) is InvalidStartingOffsets
        assert start(pipeline, starting_offsets={pipeline.source: {"1": 2}}) is None
        assert answered(pipeline) == 3 + 1 + 3
