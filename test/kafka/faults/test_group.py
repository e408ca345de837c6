"""Somebody else uses the job's consumer group, or changes its offsets."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer

from dev.pipeline.pipeline import GROUP_TOOL
from faults import scenario
from tidemill.errors import GroupAltered, GroupHasMembers, GroupOffsetLost, OtherDelivery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dev.pipeline.pipeline import Lane
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]

DELETE = ("--delete-offsets",)
RESET = ("--reset-offsets",)
TO_EARLIEST = (*RESET, "--to-earliest", "--execute")


def member(lane: Lane) -> Consumer:
    """Return a consumer that may join the lane's group."""
    return Consumer(
        {
            "bootstrap.servers": lane.broker.bootstrap_servers,
            "group.id": lane.source,
            "enable.auto.commit": False,
        }
    )


def join(consumer: Consumer, lane: Lane) -> None:
    """Join the group, and wait until the consumer has partitions."""
    consumer.subscribe([lane.source])
    while not consumer.assignment():
        consumer.poll(0.2)


def tool(lane: Lane, *arguments: str, partition: int | None = None) -> None:
    """Change the group's offsets of the input topic with Kafka's own tool."""
    topic = lane.source if partition is None else f"{lane.source}:{partition}"
    done = lane.broker.tool(
        GROUP_TOOL,
        *("--bootstrap-server", lane.broker.bootstrap_servers),
        *("--group", lane.source, "--topic", topic, *arguments),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout, done.stdout


def next_offsets(lane: Lane) -> dict[int, int]:
    """Return one more than the largest answered offset of each partition."""
    found: dict[int, int] = {}
    for partition, offset in scenario.outcomes(lane):
        found[partition] = max(found.get(partition, 0), offset + 1)
    return found


@pytest.fixture
def moved(lane: Lane, tmp_path: Path) -> Lane:
    """The lane with a new checkpoint."""
    folder = tmp_path / "new"
    folder.mkdir()
    return replace(lane, folder=folder)


class TestWhileDown:
    """What happens to the group while no job runs, a start sees."""

    @pytest.fixture(autouse=True)
    def _answered(self, lane: Lane, start: Start) -> None:
        lane.produce(*islice(scenario.messages(), 20))
        assert start(lane) is None
        lane.produce(*islice(scenario.messages(), 20))

    def test_member(self, lane: Lane, start: Start, delivery: str) -> None:
        """Exactly-once does not start while the group has a member; at-least-once does not mind."""
        with closing(member(lane)) as consumer:
            join(consumer, lane)
            error = start(lane)
        if delivery == "exactly-once":
            assert type(error) is GroupHasMembers
            assert start(lane) is None
        else:
            assert error is None
        scenario.check(lane, delivery)

    @scenario.EXACTLY_ONCE
    def test_offsets_deleted(self, lane: Lane, moved: Lane, start: Start, delivery: str) -> None:
        """Deleted offsets: exactly-once says how to set them, and goes on once they are."""
        tool(lane, *DELETE)
        for _ in range(2):
            error = start(lane)
            assert type(error) is GroupOffsetLost
            assert "--reset-offsets" in str(error)
        for partition, offset in next_offsets(lane).items():
            tool(lane, *RESET, "--to-offset", str(offset), "--execute", partition=partition)
        assert start(moved) is None
        scenario.check(lane, delivery)

    @scenario.EXACTLY_ONCE
    @pytest.mark.parametrize(("partition", "named"), [(0, GroupAltered), (None, OtherDelivery)])
    def test_offsets_reset(
        self,
        lane: Lane,
        moved: Lane,
        start: Start,
        partition: int | None,
        named: type[TidemillError],
    ) -> None:
        """Reset offsets: exactly-once asks for a new checkpoint, and goes on from them."""
        again = {at for at in scenario.outcomes(lane) if partition in {None, at[0]}}
        tool(lane, *TO_EARLIEST, partition=partition)
        for _ in range(2):
            error = start(lane)
            assert type(error) is named
            assert "new stream.checkpoint_location" in str(error)
        assert start(moved) is None
        found = scenario.outcomes(lane)
        assert len(found) == 40
        assert {at for at, count in found.items() if count == 2} == again
        assert found.total() == 40 + len(again)


class TestWhileRunning:
    """A job sees what happens to its group."""

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            (TO_EARLIEST, "GroupAltered"),
            pytest.param(DELETE, "GroupOffsetLost", marks=pytest.mark.slow),
        ],
    )
    def test_offsets(self, lane: Lane, change: tuple[str, ...], named: str) -> None:
        """Changed while it runs: exactly-once ends by name, and has answered nothing twice."""
        lane.produce(*islice(scenario.messages(), 20))
        with lane.program(lane.environment("Upper", STREAM__DELIVERY="exactly-once")) as program:
            scenario.wait_for_all(lane, program)
            tool(lane, *change)
            lane.produce(*islice(scenario.messages(), 20))
            assert program.wait() == 2, program.output
        assert named in program.output
        assert set(scenario.outcomes(lane).values()) == {1}

    def test_member(self, lane: Lane) -> None:
        """A member that comes ends exactly-once by name, before it commits anything."""
        lane.produce(*islice(scenario.messages(), 20))
        with (
            lane.program(lane.environment("Upper", STREAM__DELIVERY="exactly-once")) as program,
            closing(member(lane)) as consumer,
        ):
            scenario.wait_for_all(lane, program)
            join(consumer, lane)
            assert program.wait() == 2, program.output
        assert "GroupHasMembers" in program.output
        scenario.check(lane, "exactly-once")

    @pytest.mark.slow
    @pytest.mark.parametrize("change", [DELETE, TO_EARLIEST])
    def test_at_least_once(self, lane: Lane, change: tuple[str, ...]) -> None:
        """Changed offsets: at-least-once goes by its checkpoint, and commits them again."""
        lane.produce(*islice(scenario.messages(), 20))
        with lane.program(lane.environment("Upper")) as program:
            scenario.wait_for_all(lane, program)
            tool(lane, *change)
            lane.produce(*islice(scenario.messages(), 20))
            scenario.wait_for_all(lane, program)
            scenario.end(program)
        scenario.check(lane, "at-least-once")
        assert lane.committed() == (40, 0)
