from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tidemill.spark import retry as module
from tidemill.spark.retry import IDLE_TIMEOUT, Attempt, keepalive_batches

if TYPE_CHECKING:
    from collections.abc import Iterator


class Task:
    """A TaskContext with an attempt number and an idle timeout."""

    def __init__(self, number: int, timeout: str | None) -> None:
        self.number = number
        self.timeout = timeout

    def get(self) -> Task:
        """Return this context."""
        return self

    def attemptNumber(self) -> int:  # noqa: N802 - Spark's name
        """Return the number of failed attempts."""
        return self.number

    def getLocalProperty(self, name: str) -> str | None:  # noqa: N802 - Spark's name
        """Return the idle timeout."""
        return {IDLE_TIMEOUT: self.timeout}[name]


class TestCurrent:
    """Spark provides the attempt number and the idle timeout."""

    def test_no_task(self) -> None:
        """Outside a task it is the first attempt, without a timeout."""
        assert Attempt.current() == Attempt(0, 0)

    @pytest.mark.parametrize(
        ("value", "idle_timeout"),
        [("600", 600), ("10", 10), ("600s", 600), ("0", 0), (None, 0), ("10min", 0)],
    )
    def test_idle_timeout(
        self, monkeypatch: pytest.MonkeyPatch, value: str | None, idle_timeout: int
    ) -> None:
        """A timeout in seconds counts; otherwise there is none."""
        monkeypatch.setattr(module, "TaskContext", Task(2, value))
        assert Attempt.current() == Attempt(2, idle_timeout)


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    """Yield batches with rows numbered consecutively."""
    first = 0
    for size in sizes:
        yield pa.RecordBatch.from_pydict({"n": list(range(first, first + size))})
        first += size


SCHEMA = next(batches(1)).schema


def steps(attempt: Attempt, *, buffer_all: bool) -> list[str]:
    """Return what happens to three batches; count a run of empty ones as one."""
    steps: list[str] = []

    def computed() -> Iterator[pa.RecordBatch]:
        for batch in batches(1, 2, 3):
            steps.append(f"compute {batch.num_rows}")
            yield batch

    clock = count(0, 6).__next__  # each reading is six seconds later
    for batch in attempt.with_keepalive(computed(), SCHEMA, buffer_all=buffer_all, clock=clock):
        step = f"send {batch.num_rows}"
        if steps[-1] != step:
            steps.append(step)
    return steps


AT_ONCE = ["compute 1", "send 1", "compute 2", "send 2", "compute 3", "send 3"]
ALL_LAST = ["send 1", "send 2", "send 3"]


class TestWithKeepalive:
    """A retry that buffers sends empty batches, so that Spark does not take it for a hung one."""

    @pytest.mark.parametrize("buffer_all", [False, True])
    def test_first_attempt(self, buffer_all: bool) -> None:
        """The first attempt yields each batch at once, and no empty one."""
        assert steps(Attempt(0, 20), buffer_all=buffer_all) == AT_ONCE

    @pytest.mark.parametrize("number", [1, 2])
    def test_unbuffered(self, number: int) -> None:
        """A retry that need not buffer yields each batch at once, too."""
        assert steps(Attempt(number, 20), buffer_all=False) == AT_ONCE

    @pytest.mark.parametrize("number", [1, 2])
    def test_keepalive(self, number: int) -> None:
        """Empty batches follow a batch that took longer than a twentieth of the timeout."""
        assert steps(Attempt(number, 100), buffer_all=True) == [
            *("compute 1", "send 0", "compute 2", "send 0", "compute 3", "send 0"),
            *ALL_LAST,
        ]

    def test_quick(self) -> None:
        """They are not sent more often than that."""
        assert steps(Attempt(1, 200), buffer_all=True) == [
            *("compute 1", "compute 2", "send 0", "compute 3"),
            *ALL_LAST,
        ]

    def test_no_timeout(self) -> None:
        """Without a timeout there are no empty batches."""
        assert steps(Attempt(1, 0), buffer_all=True) == [
            *("compute 1", "compute 2", "compute 3"),
            *ALL_LAST,
        ]

    @pytest.mark.parametrize("number", [0, 1])
    @pytest.mark.parametrize("buffer_all", [False, True])
    def test_nothing_to_send(self, number: int, buffer_all: bool) -> None:
        """Any attempt sends empty batches while it has no other."""
        batch = next(batches(1))
        clock = count(0, 6).__next__
        sent = Attempt(number, 100).with_keepalive(
            iter([None, None, batch, None]), SCHEMA, buffer_all=buffer_all, clock=clock
        )
        rows = [batch.num_rows for batch in sent]
        assert rows[0] == 0
        assert [number for number in rows if number] == [1]

    @pytest.mark.parametrize("buffer_size", [None, 1000, 200_000])
    def test_bytes(self, monkeypatch: pytest.MonkeyPatch, buffer_size: int | None) -> None:
        """The empty batches together exceed Python's output buffer."""
        if buffer_size:
            monkeypatch.setenv("SPARK_BUFFER_SIZE", str(buffer_size))
        empty = list(keepalive_batches(SCHEMA))
        assert {batch.num_rows for batch in empty} == {0}
        assert sum(batch.serialize().size for batch in empty) > (buffer_size or 65536)
