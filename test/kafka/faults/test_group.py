"""Another program joins the job's consumer group, or changes its offsets."""

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
    """Return the next offset to process of each partition, according to the outcomes."""
    offsets: dict[int, int] = {}
    for partition, offset in scenario.outcomes(pipeline):
        offsets[partition] = max(offsets.get(partition, 0), offset + 1)
    return offsets


@pytest.fixture
def moved(pipeline: Pipeline, tmp_path: Path) -> Pipeline:
    """The pipeline with a new checkpoint."""
    folder = tmp_path / "new"
    folder.mkdir()
    return replace(pipeline, folder=folder)


class TestWhileDown:
    """A start detects changes to the group while no job ran."""

    @pytest.fixture(autouse=True)
    def _answered(self, pipeline: Pipeline, start: Start) -> None:
        pipeline.produce(*islice(scenario.messages(), 20))
        assert start(pipeline) is None
        pipeline.produce(*islice(scenario.messages(), 20))

    def test_member(self, pipeline: Pipeline, start: Start, delivery: str) -> None:
        """With a member in the group exactly-once refuses to start, at-least-once does not."""
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
        """After offsets were deleted, exactly-once tells how to set them, and then resumes."""
        tool(pipeline, *DELETE)
        for _ in range(2):
            error = start(pipeline)
            assert type(error) is GroupOffsetLost
            assert "--reset-offsets" in error.hint
        for partition, offset in next_offsets(pipeline).items():
            tool(pipeline, *RESET, "--to-offset", str(offset), "--execute", partition=partition)
        assert start(moved) is None
        scenario.check(pipeline, delivery)

    @scenario.EXACTLY_ONCE
    @pytest.mark.parametrize(
        ("partition", "expected"), [(0, GroupOffsetsChanged), (None, DeliveryModeChanged)]
    )
    def test_offsets_reset(
        self,
        pipeline: Pipeline,
        moved: Pipeline,
        start: Start,
        partition: int | None,
        expected: type[TidemillError],
    ) -> None:
        """After offsets were reset, exactly-once asks for a new checkpoint, and starts at them."""
        repeated = {m for m in scenario.outcomes(pipeline) if partition in {None, m[0]}}
        tool(pipeline, *TO_EARLIEST, partition=partition)
        for _ in range(2):
            error = start(pipeline)
            assert type(error) is expected
            assert "new stream.checkpoint_location" in error.hint
        assert start(moved) is None
        outcomes = scenario.outcomes(pipeline)
        assert len(outcomes) == 40
        assert {message for message, count in outcomes.items() if count == 2} == repeated
        assert outcomes.total() == 40 + len(repeated)


class TestWhileRunning:
    """A running job detects changes to its group."""

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            (TO_EARLIEST, "GroupOffsetsChanged"),
            pytest.param(DELETE, "GroupOffsetLost", marks=pytest.mark.slow),
        ],
    )
    def test_offsets(self, pipeline: Pipeline, change: tuple[str, ...], error: str) -> None:
        """If its offsets change, exactly-once ends with a named error and repeats nothing."""
        pipeline.produce(*islice(scenario.messages(), 20))
        with pipeline.program(
            pipeline.environment("Upper", STREAM__DELIVERY="exactly-once")
        ) as program:
            scenario.wait_for_all(pipeline, program)
            tool(pipeline, *change)
            pipeline.produce(*islice(scenario.messages(), 20))
            assert program.wait() == 2, program.output
        assert error in program.output
        assert set(scenario.outcomes(pipeline).values()) == {1}

    def test_member(self, pipeline: Pipeline) -> None:
        """A new member ends exactly-once with a named error before the member commits."""
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
        """At-least-once continues from its checkpoint, and commits its offsets again."""
        pipeline.produce(*islice(scenario.messages(), 20))
        with pipeline.program(pipeline.environment("Upper")) as program:
            scenario.wait_for_all(pipeline, program)
            tool(pipeline, *change)
            pipeline.produce(*islice(scenario.messages(), 20))
            scenario.wait_for_all(pipeline, program)
            scenario.end(program)
        scenario.check(pipeline, "at-least-once")
        assert pipeline.committed() == (40, 0)
