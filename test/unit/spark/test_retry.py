from __future__ import annotations

import json
import os
from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tidemill.models import catalogue
from tidemill.spark import retry as module
from tidemill.spark.retry import IDLE_TIMEOUT, Attempt, signs_of_life

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidemill.inference.model import ModelSpec


class Task:
    """What a task knows of itself."""

    def __init__(self, number: int, timeout: str | None) -> None:
        self.number = number
        self.timeout = timeout

    def get(self) -> Task:
        """Return it."""
        return self

    def attemptNumber(self) -> int:  # noqa: N802 - Spark's name
        """Return how often it failed."""
        return self.number

    def getLocalProperty(self, name: str) -> str | None:  # noqa: N802 - Spark's name
        """Return a setting."""
        return {IDLE_TIMEOUT: self.timeout}[name]


class TestCurrent:
    """The attempt is Spark's, and so is the idle time-out."""

    def test_no_task(self) -> None:
        """Without a task it is the first, without a limit."""
        assert Attempt.current() == Attempt(0, 0)

    @pytest.mark.parametrize(
        ("timeout", "limit"),
        [("600", 30), ("10", 0.5), ("600s", 30), ("0", None), (None, None), ("10min", None)],
    )
    def test_limit(
        self, monkeypatch: pytest.MonkeyPatch, timeout: str | None, limit: float | None
    ) -> None:
        """A call may take a twentieth of it; where there is none, or of another unit, any time."""
        monkeypatch.setattr(module, "TaskContext", Task(2, timeout))
        assert Attempt.current().number == 2
        assert Attempt.current().limit == limit


class TestModels:
    """Only what failed before needs a process of its own."""

    @pytest.mark.parametrize("number", [0, 1])
    def test_process(self, model: Callable[..., ModelSpec], tmp_path: Path, number: int) -> None:
        """The first attempt loads models as it is told, each later one in a supervised process."""
        spec = model("RecordingModel", options={"log": str(tmp_path / "log")})
        with Attempt(number, 60).models(catalogue.load) as load:
            (said,) = load(spec).predict_all(["a"])
            assert (json.loads(said)["pid"] == os.getpid()) == (number == 0)
            assert (load(spec) is catalogue.load(spec)) == (number == 0)


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    """Yield batches whose rows are numbered throughout."""
    first = 0
    for size in sizes:
        yield pa.RecordBatch.from_pydict({"n": list(range(first, first + size))})
        first += size


class TestSlices:
    """A later attempt takes few messages at a time, the last ones fewer."""

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
        """All are there, in their order."""
        slices = list(Attempt(number).slices(batches(40, 1)))
        assert [part.num_rows for part in slices] == sizes
        assert [row["n"] for part in slices for row in part.to_pylist()] == list(range(41))

    def test_lazy(self) -> None:
        """A batch is asked for when it is its turn."""
        source = batches(16, 16)
        next(Attempt(1).slices(source))
        assert [part.num_rows for part in source] == [16]


class TestPaced:
    """Spark ends a worker that gives nothing back for too long: it is told that this one works."""

    def rows(self, attempt: Attempt, *, hold: bool) -> list[int]:
        """Return the sizes of what is given back for four batches, runs of none as one."""
        clock = count(0, 6).__next__  # six seconds from look to look
        answers = attempt.paced(batches(1, 2, 3, 4), hold=hold, clock=clock)
        sizes = [batch.num_rows for batch in answers]
        return [n for n, last in zip(sizes, [None, *sizes], strict=False) if n or last != 0]

    @pytest.mark.parametrize("hold", [False, True])
    def test_first_attempt(self, hold: bool) -> None:
        """At first what is answered is given back at once, and nothing else."""
        assert self.rows(Attempt(0, 20), hold=hold) == [1, 2, 3, 4]

    def test_signs(self) -> None:
        """Later signs of life follow what took longer than a call may."""
        assert self.rows(Attempt(1, 100), hold=False) == [1, 0, 2, 0, 3, 0, 4, 0]

    def test_quick(self) -> None:
        """Not more often than that."""
        assert self.rows(Attempt(1, 200), hold=False) == [1, 2, 0, 3, 4, 0]

    @pytest.mark.parametrize("number", [1, 2])
    def test_hold(self, number: int) -> None:
        """Where nothing shall be given back before all is answered, they are all there is."""
        assert self.rows(Attempt(number, 100), hold=True) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("hold", [False, True])
    def test_no_time_out(self, hold: bool) -> None:
        """Without a time-out there are none."""
        assert self.rows(Attempt(1, 0), hold=hold) == [1, 2, 3, 4]

    @pytest.mark.parametrize("buffered", [None, 1000, 200_000])
    def test_bytes(self, monkeypatch: pytest.MonkeyPatch, buffered: int | None) -> None:
        """They are more bytes than Python holds back, and no rows."""
        if buffered:
            monkeypatch.setenv("SPARK_BUFFER_SIZE", str(buffered))
        signs = list(signs_of_life(next(batches(5))))
        assert {sign.num_rows for sign in signs} == {0}
        assert sum(sign.serialize().size for sign in signs) > (buffered or 65536)
