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

    from dev.pipeline.job_process import Program
    from dev.pipeline.pipeline import Lane
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]


@pytest.fixture
def other(make_topic: Callable[..., str]) -> str:
    """A second input topic."""
    return make_topic("other")


def send(lane: Lane, topic: str, count: int) -> None:
    """Send so many messages."""
    records.produce(lane.broker.bootstrap_servers, topic, *islice(scenario.messages(), count))


def answered(lane: Lane) -> int:
    """Return how many outcomes there are."""
    return len(lane.results()) + len(lane.dead_letters())


class TestWhileDown:
    """The inputs change between two runs."""

    def test_removed_from_the_settings(self, lane: Lane, other: str, start: Start) -> None:
        """An answered topic may go; one with unanswered messages is resumed when it is back."""
        both = {"input_topics": (lane.source, other)}
        send(lane, lane.source, 6)
        send(lane, other, 5)
        assert start(lane, **both) is None
        send(lane, other, 4)
        send(lane, lane.source, 3)
        for _ in range(2):
            error = start(lane)
            assert type(error) is InputTopicRemoved, error
            assert f"topic {other} is no longer an input" in str(error)
            assert answered(lane) == 6 + 5
        assert start(lane, **both) is None
        assert answered(lane) == 6 + 5 + 4 + 3
        send(lane, lane.source, 2)
        assert start(lane) is None
        send(lane, other, 1)
        assert start(lane, **both) is None
        assert answered(lane) == 6 + 5 + 4 + 3 + 2 + 1, "what comes back goes on where it was"

    def test_deleted(self, lane: Lane, start: Start) -> None:
        """Of daily topics an answered one may be deleted, and a new one come."""
        daily = {"input_pattern": f"{lane.source}.*", "input_topics": ()}
        servers = lane.broker.bootstrap_servers
        create_topic(servers, f"{lane.source}-1")
        send(lane, f"{lane.source}-1", 5)
        assert start(lane, **daily, max_offsets_per_trigger=2) is None
        delete_topic(servers, f"{lane.source}-1")
        create_topic(servers, f"{lane.source}-2")
        send(lane, f"{lane.source}-2", 4)
        assert start(lane, **daily) is None
        assert answered(lane) == 5 + 4
        send(lane, lane.source, 3)
        assert start(lane, **daily) is None
        assert answered(lane) == 5 + 4 + 3

    def test_given_up(self, lane: Lane, other: str, start: Start) -> None:
        """Unanswered messages are passed over if losses are accepted."""
        send(lane, lane.source, 6)
        send(lane, other, 5)
        assert start(lane, input_topics=(lane.source, other)) is None
        send(lane, other, 4)
        send(lane, lane.source, 3)
        assert start(lane, fail_on_data_loss=False) is None
        assert answered(lane) == 6 + 5 + 3
        assert start(lane) is None

    def test_added(self, lane: Lane, other: str, start: Start) -> None:
        """A topic of which retention has removed the beginning is answered from what is left."""
        send(lane, lane.source, 6)
        send(lane, other, 5)
        delete_records(lane.broker.bootstrap_servers, other, {0: 3})
        assert start(lane) is None
        assert start(lane, input_topics=(lane.source, other)) is None
        assert answered(lane) == 6 + 2


class TestWhileRunning:
    """A running job goes on when an answered topic is deleted."""

    @pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
    def test_deleted(self, lane: Lane, delivery: str) -> None:
        """It says so in a line, and answers what comes in other topics, old and new."""
        servers = lane.broker.bootstrap_servers
        create_topic(servers, f"{lane.source}-1")
        send(lane, f"{lane.source}-1", 5)
        settings = lane.environment("Upper", STREAM__DELIVERY=delivery)
        del settings["TIDEMILL__STREAM__INPUT_TOPICS"]
        settings["TIDEMILL__STREAM__INPUT_PATTERN"] = f"{lane.source}.*"
        with lane.program(settings) as program:
            self.wait(lane, program, 5)
            program.wait_for("answered ")
            delete_topic(servers, f"{lane.source}-1")
            program.wait_for("no longer reading a partition")
            send(lane, lane.source, 3)
            create_topic(servers, f"{lane.source}-2")
            send(lane, f"{lane.source}-2", 4)
            self.wait(lane, program, 5 + 3 + 4)
            scenario.end(program)
        assert answered(lane) == 5 + 3 + 4

    @staticmethod
    def wait(lane: Lane, program: Program, count: int) -> None:
        """Wait for so many outcomes."""

        def complete() -> bool:
            program.must_run()
            return answered(lane) >= count

        scenario.wait_until(complete, tell=lambda: f":\n{program.output}")


class TestStartingOffsets:
    """Where a job without a checkpoint starts."""

    def test_some_partitions(self, lane: Lane, start: Start) -> None:
        """Partitions that the setting does not name start at the earliest offset."""
        for value in range(9):
            lane.produce({"value": b"%d" % value, "partition": value % 3})
        error = start(lane, starting_offsets={lane.source: {"3": 0}})
        assert type(error) is InvalidStartingOffsets
        error = start(lane, starting_offsets={lane.source: {"1": 4}})
        assert type(error) is InvalidStartingOffsets
        assert start(lane, starting_offsets={lane.source: {"1": 2}}) is None
        assert answered(lane) == 3 + 1 + 3
