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
from tidemill.errors import (
    DeliveryModeChanged,
    GroupHasMembers,
    GroupOffsetLost,
    GroupOffsetsChanged,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dev.pipeline.pipeline import Pipeline
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]

DELETE = ("--delete-offsets",)
RESET = ("--reset-offsets",)
TO_EARLIEST = (*RESET, "--to-earliest", "--execute")


def member(pipeline: Pipeline) -> Consumer:
    """Return a consumer that may join the pipeline's group."""
    return Consumer(
        {
            "bootstrap.servers": pipeline.broker.bootstrap_servers,
            "group.id": pipeline.source,
            "enable.auto.commit": False,
        }
    )


def join(consumer: Consumer, pipeline: Pipeline) -> None:
    """Join the group, and wait until the consumer has partitions."""
    consumer.subscribe([pipeline.source])
    while not consumer.assignment():
        consumer.poll(0.2)


def tool(pipeline: Pipeline, *arguments: str, partition: int | None = None) -> None:
    """Change the group's offsets of the input topic with Kafka's own tool."""
    topic = pipeline.source if partition is None else f"{pipeline.source}:{partition}"
    done = pipeline.broker.tool(
        GROUP_TOOL,
        *("--bootstrap-server", pipeline.broker.bootstrap_servers),
        *("--group", pipeline.source, "--topic", topic, *arguments),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout, done.stdout


def next_offsets(pipeline: Pipeline) -> dict[int, int]:
    """Return one more than the largest answered offset of each partition."""
    found: dict[int, int] = {}
    for partition, offset in scenario.outcomes(pipeline):
        found[partition] = max(found.get(partition, 0), offset + 1)
    return found


@pytest.fixture
def moved(pipeline: Pipeline, tmp_path: Path) -> Pipeline:
    """The pipeline with a new checkpoint."""
    folder = tmp_path / "new"
    folder.mkdir()
    return replace(pipeline, folder=folder)


class TestWhileDown:
    """What happens to the group while no job runs, a start sees."""

    @pytest.fixture(autouse=True)
    def _answered(self, pipeline: Pipeline, start: Start) -> None:
        pipeline.produce(*islice(scenario.messages(), 20))
        assert start(pipeline) is None
        pipeline.produce(*islice(scenario.messages(), 20))

    def test_member(self, pipeline: Pipeline, start: Start, delivery: str) -> None:
        """Exactly-once does not start while the group has a member; at-least-once does not mind."""
        with closing(member(pipeline)) as consumer:
            join(consumer, pipeline)
            error = start(pipeline)
        if delivery == "exactly-once":
            assert type(error) is GroupHasMembers
            assert start(pipeline) is None
        else:
            assert error is None
        scenario.check(pipeline, delivery)

    @scenario.EXACTLY_ONCE
    def test_offsets_deleted(
        self, pipeline: Pipeline, moved: Pipeline, start: Start, delivery: str
    ) -> None:
        """Deleted offsets: exactly-once says how to set them, and goes on once they are."""
        tool(pipeline, *DELETE)
        for _ in range(2):
            error = start(pipeline)
            assert type(error) is GroupOffsetLost
            assert "--reset-offsets" in str(error)
        for partition, offset in next_offsets(pipeline).items():
            tool(pipeline, *RESET, "--to-offset", str(offset), "--execute", partition=partition)
        assert start(moved) is None
        scenario.check(pipeline, delivery)

    @scenario.EXACTLY_ONCE
    @pytest.mark.parametrize(
        ("partition", "named"), [(0, GroupOffsetsChanged), (None, DeliveryModeChanged)]
    )
    def test_offsets_reset(
        self,
        pipeline: Pipeline,
        moved: Pipeline,
        start: Start,
        partition: int | None,
        named: type[TidemillError],
    ) -> None:
        """Reset offsets: exactly-once asks for a new checkpoint, and goes on from them."""
        again = {at for at in scenario.outcomes(pipeline) if partition in {None, at[0]}}
        tool(pipeline, *TO_EARLIEST, partition=partition)
        for _ in range(2):
            error = start(pipeline)
            assert type(error) is named
            assert "new stream.checkpoint_location" in str(error)
        assert start(moved) is None
        found = scenario.outcomes(pipeline)
        assert len(found) == 40
        assert {at for at, count in found.items() if count == 2} == again
        assert found.total() == 40 + len(again)


class TestWhileRunning:
    """A job sees what happens to its group."""

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            (TO_EARLIEST, "GroupOffsetsChanged"),
            pytest.param(DELETE, "GroupOffsetLost", marks=pytest.mark.slow),
        ],
    )
    def test_offsets(self, pipeline: Pipeline, change: tuple[str, ...], named: str) -> None:
        """Changed while it runs: exactly-once ends by name, and has answered nothing twice."""
        pipeline.produce(*islice(scenario.messages(), 20))
        with pipeline.program(
            pipeline.environment("Upper", STREAM__DELIVERY="exactly-once")
        ) as program:
            scenario.wait_for_all(pipeline, program)
            tool(pipeline, *change)
            pipeline.produce(*islice(scenario.messages(), 20))
            assert program.wait() == 2, program.output
        assert named in program.output
        assert set(scenario.outcomes(pipeline).values()) == {1}

    def test_member(self, pipeline: Pipeline) -> None:
        """A member that comes ends exactly-once by name, before it commits anything."""
        pipeline.produce(*islice(scenario.messages(), 20))
        with (
            pipeline.program(
                pipeline.environment("Upper", STREAM__DELIVERY="exactly-once")
            ) as program,
            closing(member(pipeline)) as consumer,
        ):
            scenario.wait_for_all(pipeline, program)
            join(consumer, pipeline)
            assert program.wait() == 2, program.output
        assert "GroupHasMembers" in program.output
        scenario.check(pipeline, "exactly-once")

    @pytest.mark.slow
    @pytest.mark.parametrize("change", [DELETE, TO_EARLIEST])
    def test_at_least_once(self, pipeline: Pipeline, change: tuple[str, ...]) -> None:
        """Changed offsets: at-least-once goes by its checkpoint, and commits them again."""
        pipeline.produce(*islice(scenario.messages(), 20))
        with pipeline.program(pipeline.environment("Upper")) as program:
            scenario.wait_for_all(pipeline, program)
            tool(pipeline, *change)
            pipeline.produce(*islice(scenario.messages(), 20))
            scenario.wait_for_all(pipeline, program)
            scenario.end(program)
        scenario.check(pipeline, "at-least-once")
        assert pipeline.committed() == (40, 0)
