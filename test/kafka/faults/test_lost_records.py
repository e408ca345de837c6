"""If records are deleted before they are processed, the job fails until the loss is accepted."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from dev.kafka.topics import delete_records, end_offsets
from dev.pipeline.pipeline import message
from faults import scenario
from tidemill.errors import DataLoss

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dev.pipeline.pipeline import Pipeline
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]


def expire(pipeline: Pipeline) -> None:
    """Delete all records, as retention would; send a few more."""
    servers = pipeline.broker.bootstrap_servers
    delete_records(servers, pipeline.source, end_offsets(servers, pipeline.source))
    pipeline.produce(*islice(scenario.messages(), 6))


def remaining(pipeline: Pipeline) -> set[tuple[int, int]]:
    """Return the remaining messages by partition and offset."""
    return {(record.partition, record.offset) for record in pipeline.inputs()}


class TestWhileDown:
    """Retention deletes unprocessed records while no job runs."""

    @pytest.fixture
    def processed(self, pipeline: Pipeline, start: Start) -> set[tuple[int, int]]:
        """The messages that were processed before others were lost."""
        pipeline.produce(*islice(scenario.messages(), 12))
        assert start(pipeline) is None
        first = remaining(pipeline)
        pipeline.produce(*islice(scenario.messages(), 12))
        expire(pipeline)
        return first

    @pytest.fixture
    def once(self, delivery: str) -> bool:
        """Whether each message may be processed only once."""
        return delivery == "exactly-once"

    def test_refused(
        self, pipeline: Pipeline, start: Start, processed: set[tuple[int, int]]
    ) -> None:
        """Each start is refused, and processes nothing, until the loss is accepted."""
        for _ in range(2):
            error = start(pipeline)
            assert type(error) is DataLoss, error
            assert "stream.fail_on_data_loss" in error.hint
        assert scenario.outcomes(pipeline).keys() == processed

    def test_accepted(
        self, pipeline: Pipeline, start: Start, processed: set[tuple[int, int]], once: bool
    ) -> None:
        """With `fail_on_data_loss: false` all remaining messages are processed."""
        assert start(pipeline, fail_on_data_loss=False) is None
        outcomes = scenario.outcomes(pipeline)
        assert outcomes.keys() == processed | remaining(pipeline)
        assert not once or set(outcomes.values()) == {1}

    def test_new_checkpoint(
        self,
        pipeline: Pipeline,
        start: Start,
        processed: set[tuple[int, int]],
        once: bool,
        tmp_path: Path,
    ) -> None:
        """A new checkpoint starts over; with exactly-once at the group's offsets, if accepted."""
        moved = replace(pipeline, folder=tmp_path / "new")
        moved.folder.mkdir()
        if once:
            assert type(start(moved)) is DataLoss
        assert start(moved, fail_on_data_loss=not once) is None
        outcomes = scenario.outcomes(pipeline)
        assert outcomes.keys() == processed | remaining(pipeline)
        assert not once or set(outcomes.values()) == {1}


class TestWhileRunning:
    """Retention deletes records that a running job has not read yet."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_named(self, pipeline: Pipeline, delivery: str) -> None:
        """The job ends with exit code 1, and the error tells what to do."""
        gate = pipeline.folder / "gate"
        pipeline.produce(*(message(i, "held" if i >= 20 else f"t{i}") for i in range(40)))
        job = pipeline.environment(
            "Hanging",
            options={"until": str(gate), "on": "held"},
            max_seconds=3600,
            STREAM__MAX_OFFSETS_PER_TRIGGER="15",
            STREAM__DELIVERY=delivery,
        )
        with pipeline.program(job) as program:
            pipeline.wait_for_results(program)
            # Spark has not prefetched these.
            pipeline.produce(*islice(scenario.messages(), 12))
            expire(pipeline)
            gate.touch()
            assert program.wait() == 1, program.output
        assert "DataLoss" in program.output
        assert "stream.fail_on_data_loss" in program.output
