from __future__ import annotations

import json
import os
from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tidemill.models import host
from tidemill.spark import retry as module
from tidemill.spark.retry import IDLE_TIMEOUT, Attempt, keepalive_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidemill.inference.model import ModelSpec


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
        ("idle_timeout", "call_timeout"),
        [("600", 30), ("10", 0.5), ("600s", 30), ("0", None), (None, None), ("10min", None)],
    )
    def test_call_timeout(
        self,
        monkeypatch: pytest.MonkeyPatch,
        idle_timeout: str | None,
        call_timeout: float | None,
    ) -> None:
        """A call may take a twentieth of a timeout in seconds; otherwise there is no limit."""
        monkeypatch.setattr(module, "TaskContext", Task(2, idle_timeout))
        assert Attempt.current().number == 2
        assert Attempt.current().call_timeout == call_timeout


class TestModels:
    """Only a retry runs its models in a child process."""

    @pytest.mark.parametrize("number", [0, 1])
    def test_process(self, model: Callable[..., ModelSpec], tmp_path: Path, number: int) -> None:
        """The first attempt uses the given loader, and a retry a supervised process."""
        spec = model("RecordingModel", options={"log": str(tmp_path / "log")})
        with Attempt(number, 60).models(host.load) as load:
            (output,) = load(spec).predict_all(["a"])
            assert (json.loads(output)["pid"] == os.getpid()) == (number == 0)
            assert (load(spec) is host.load(spec)) == (number == 0)


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    """Yield batches with rows numbered consecutively."""
    first = 0
    for size in sizes:
        yield pa.RecordBatch.from_pydict({"n": list(range(first, first + size))})
        first += size


class TestSlices:
    """A retry takes few messages at a time, and each further retry fewer."""

    @pytest.mark.parametrize(
        ("number", "sizes"),
        [
            (0, [40, 1]),
            (1, [16, 16, 8, 1]),
            (2, [4] * 10 + [1]),
            (3, [1] * 41),
            (7, [1] * 41),
        ],
    )
    def test_sizes(self, number: int, sizes: list[int]) -> None:
        """The slices have the expected sizes, and all rows in order."""
        slices = list(Attempt(number).slices(batches(40, 1)))
        assert [part.num_rows for part in slices] == sizes
        assert [row["n"] for part in slices for row in part.to_pylist()] == list(range(41))

    def test_lazy(self) -> None:
        """A batch is not read before it is needed."""
        source = batches(16, 16)
        next(Attempt(1).slices(source))
        assert [part.num_rows for part in source] == [16]


class TestWithKeepalive:
    """A retry sends empty batches, so that Spark does not kill a busy worker as idle."""

    def rows(self, attempt: Attempt, *, buffer_all: bool) -> list[int]:
        """Return the sizes of the batches for four batches; count a run of empty ones as one."""
        clock = count(0, 6).__next__  # each reading is six seconds later
        answers = attempt.with_keepalive(batches(1, 2, 3, 4), buffer_all=buffer_all, clock=clock)
        sizes = [batch.num_rows for batch in answers]
        return [n for n, last in zip(sizes, [None, *sizes], strict=False) if n or last != 0]

    @pytest.mark.parametrize("buffer_all", [False, True])
    def test_first_attempt(self, buffer_all: bool) -> None:
        """The first attempt yields each batch at once, and no empty one."""
        assert self.rows(Attempt(0, 20), buffer_all=buffer_all) == [1, 2, 3, 4]

    def test_keepalive(self) -> None:
        """On a retry, empty batches follow a batch that took longer than a call may."""
        assert self.rows(Attempt(1, 100), buffer_all=False) == [1, 0, 2, 0, 3, 0, 4, 0]

    def test_quick(self) -> None:
        """They are not sent more often than that."""
        assert self.rows(Attempt(1, 200), buffer_all=False) == [1, 2, 0, 3, 4, 0]

    @pytest.mark.parametrize("number", [1, 2])
    def test_buffer_all(self, number: int) -> None:
        """If all rows are buffered, only empty batches precede them."""
        assert self.rows(Attempt(number, 100), buffer_all=True) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("buffer_all", [False, True])
    def test_no_time_out(self, buffer_all: bool) -> None:
        """Without a timeout there are no empty batches."""
        assert self.rows(Attempt(1, 0), buffer_all=buffer_all) == [1, 2, 3, 4]

    @pytest.mark.parametrize("buffer_size", [None, 1000, 200_000])
    def test_bytes(self, monkeypatch: pytest.MonkeyPatch, buffer_size: int | None) -> None:
        """The empty batches together exceed Python's output buffer."""
        if buffer_size:
            monkeypatch.setenv("SPARK_BUFFER_SIZE", str(buffer_size))
        empty = list(keepalive_batches(next(batches(5))))
        assert {batch.num_rows for batch in empty} == {0}
        assert sum(batch.serialize().size for batch in empty) > (buffer_size or 65536)
