"""Records that are gone before they were answered end the job by name, and only once accepted."""

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

    from dev.pipeline.pipeline import Lane
    from tidemill.errors import TidemillError

    Start = Callable[..., TidemillError | None]


def pass_over(lane: Lane) -> None:
    """Delete all records that are there, as retention would; send a few more."""
    servers = lane.broker.bootstrap_servers
    delete_records(servers, lane.source, end_offsets(servers, lane.source))
    lane.produce(*islice(scenario.messages(), 6))


def due(lane: Lane) -> set[tuple[int, int]]:
    """Return the messages that are still there, by partition and offset."""
    return {(record.partition, record.offset) for record in lane.inputs()}


class TestWhileDown:
    """Retention passes over what was not answered while no job runs."""

    @pytest.fixture
    def answered(self, lane: Lane, start: Start) -> set[tuple[int, int]]:
        """The messages that were answered before others were lost."""
        lane.produce(*islice(scenario.messages(), 12))
        assert start(lane) is None
        first = due(lane)
        lane.produce(*islice(scenario.messages(), 12))
        pass_over(lane)
        return first

    @pytest.fixture
    def once(self, delivery: str) -> bool:
        """Whether nothing may be answered twice."""
        return delivery == "exactly-once"

    def test_refused(self, lane: Lane, start: Start, answered: set[tuple[int, int]]) -> None:
        """Each start is refused, and answers nothing, until somebody accepts the loss."""
        for _ in range(2):
            error = start(lane)
            assert type(error) is DataLoss, error
            assert "stream.fail_on_data_loss" in str(error)
        assert scenario.outcomes(lane).keys() == answered

    def test_accepted(
        self, lane: Lane, start: Start, answered: set[tuple[int, int]], once: bool
    ) -> None:
        """With `fail_on_data_loss: false` all that is left is answered."""
        assert start(lane, fail_on_data_loss=False) is None
        found = scenario.outcomes(lane)
        assert found.keys() == answered | due(lane)
        assert not once or set(found.values()) == {1}

    def test_new_checkpoint(
        self, lane: Lane, start: Start, answered: set[tuple[int, int]], once: bool, tmp_path: Path
    ) -> None:
        """A new checkpoint starts over; with exactly-once at the group's offsets, once accepted."""
        moved = replace(lane, folder=tmp_path / "new")
        moved.folder.mkdir()
        if once:
            assert type(start(moved)) is DataLoss
        assert start(moved, fail_on_data_loss=not once) is None
        found = scenario.outcomes(lane)
        assert found.keys() == answered | due(lane)
        assert not once or set(found.values()) == {1}


class TestWhileRunning:
    """Retention is faster than the job."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_named(self, lane: Lane, delivery: str) -> None:
        """A running job ends with exit code 1, and says what was lost and what to do."""
        gate = lane.folder / "gate"
        lane.produce(*(message(i, "held" if i >= 20 else f"t{i}") for i in range(40)))
        job = lane.environment(
            "Hanging",
            options={"until": str(gate), "on": "held"},
            STREAM__MAX_OFFSETS_PER_TRIGGER="15",
            STREAM__DELIVERY=delivery,
        )
        with lane.program(job) as program:
            lane.wait_for_results(program)
            # Spark has not fetched these in advance.
            lane.produce(*islice(scenario.messages(), 12))
            pass_over(lane)
            gate.touch()
            assert program.wait() == 1, program.output
        assert "DataLoss" in program.output
        assert "stream.fail_on_data_loss" in program.output
