from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from arrow_batches import record_batch
from example_models import Echo
from pyspark.sql.types import NullType, StructField, StructType

from tidemill.errors import ConfigurationError, ModelUnavailable, NoValueColumn
from tidemill.inference.engine import LocalRunner
from tidemill.inference.route import single_routes
from tidemill.kafka.record_size import TopicLimits
from tidemill.spark import columns, udfs
from tidemill.spark import retry as attempts
from tidemill.spark.schemas import OUTCOME, RECORD
from tidemill.spark.udfs import predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


class Column:
    """A column that records the calls on it."""

    def __init__(self, *steps: object) -> None:
        self.steps = steps

    def cast(self, kind: object) -> Column:
        """Change the type."""
        return Column(*self.steps, kind)

    def alias(self, name: str) -> Column:
        """Change the name."""
        return Column(*self.steps, name)


class Frame:
    """A DataFrame that records the selected columns and the function for the workers."""

    def __init__(self, *columns: str) -> None:
        self.columns = list(columns)
        self.selected: list[tuple[object, ...]] = []
        self.on_worker: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]] | None = None

    def __getitem__(self, name: str) -> Column:
        return Column(name)

    @property
    def schema(self) -> StructType:
        """Return the types of a record's columns."""
        types = {field.name: field.dataType for field in RECORD}
        return StructType(
            [StructField(name, types.get(name.lower(), NullType())) for name in self.columns]
        )

    def select(self, *columns: Column) -> Frame:
        """Select columns."""
        self.selected = [column.steps for column in columns]
        return self

    def mapInArrow(self, function: Any, schema: object) -> Frame:  # noqa: ANN401, N802 - Spark's name
        """Run a function on the workers."""
        assert schema == OUTCOME
        self.on_worker = function
        return self


@pytest.fixture(autouse=True)
def _no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make literal columns without Java."""
    monkeypatch.setattr(columns, "lit", Column)


def transform(frame: Frame, *specs: ModelSpec, **options: Any) -> Frame:  # noqa: ANN401
    """Apply the transform."""
    frame_like: Any = frame
    made: Any = predictions(single_routes(specs), results="out", dead_letters="dead", **options)(
        frame_like
    )
    transformed: Frame = made
    return transformed


class TestColumns:
    """The transform selects the columns of a record by name."""

    def test_all(self, make_spec: MakeSpec) -> None:
        """Each column is cast to its type, in the record's order."""
        frame = transform(Frame(*reversed(RECORD.names)), make_spec())
        assert frame.selected == [(field.name, field.dataType, field.name) for field in RECORD]

    def test_only_value(self, make_spec: MakeSpec) -> None:
        """A column that the frame lacks is null."""
        selected = transform(Frame("value", "more"), make_spec()).selected
        assert [steps[0] for steps in selected] == [None, "value", *[None] * 5]

    def test_any_case(self, make_spec: MakeSpec) -> None:
        """Column names are case-insensitive; the result has the record's."""
        frame = transform(Frame("VALUE", "Key", "tOPIC", "Headers"), make_spec())
        sources = {steps[-1]: steps[0] for steps in frame.selected if steps[0]}
        assert sources == {"value": "VALUE", "key": "Key", "topic": "tOPIC", "headers": "Headers"}

    @pytest.mark.parametrize(
        ("columns", "message"), [(["body", "values"], "it has body, values"), ([], "it has none")]
    )
    def test_no_value(self, make_spec: MakeSpec, columns: list[str], message: str) -> None:
        """A frame without `value` is refused; the error lists its columns."""
        with pytest.raises(NoValueColumn, match=message) as caught:
            transform(Frame(*columns), make_spec())
        assert isinstance(caught.value, ConfigurationError)


class Remote(Echo):
    """Answer with the input; fail as a server that is down for one input and for the sample."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return every input."""
        if {"away", "sample"} & set(inputs):
            raise ConnectionError
        return super().predict_all(inputs)


class Attempt:
    """A TaskContext that returns one attempt number."""

    number: int | None = 0

    def get(self) -> Attempt | None:
        """Return this context, or None outside a task."""
        return self if self.number is not None else None

    def attemptNumber(self) -> int | None:  # noqa: N802 - Spark's name
        """Return the number of failed attempts."""
        return self.number

    def getLocalProperty(self, _: str) -> str | None:  # noqa: N802 - Spark's name
        """Return a setting."""
        return None


@pytest.fixture
def attempt(monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """Return the current attempt; its model is Remote, in this process."""
    remote = LocalRunner(lambda _: Remote(), clock=time.time)
    monkeypatch.setattr(udfs, "worker_runner", lambda *_: remote)
    running = Attempt()
    monkeypatch.setattr(attempts, "TaskContext", running)
    return running


def run(frame: Frame, *values: bytes) -> Iterator[dict[str, Any]]:
    """Yield the outcomes of values, which a worker gets in a batch each."""
    assert frame.on_worker is not None
    for outcomes in frame.on_worker(record_batch({"value": value}) for value in values):
        yield from outcomes.to_pylist()


class TestOnWorker:
    """A worker processes batches one by one."""

    @pytest.mark.parametrize("number", [None, 0, 1, 3])
    def test_order(self, attempt: Attempt, make_spec: MakeSpec, number: int | None) -> None:
        """Batches keep their order, in any attempt and outside a task."""
        attempt.number = number
        rows = list(run(transform(Frame("value"), make_spec()), b"a", b"b", b"c"))
        assert [json.loads(row["value"])["out"] for row in rows] == ["a", "b", "c"]

    def test_first_attempt(self, attempt: Attempt, make_spec: MakeSpec) -> None:
        """The first attempt yields each batch at once."""
        rows = run(transform(Frame("value"), make_spec()), b"a", b"away")
        assert json.loads(next(rows)["value"])["out"] == "a"
        with pytest.raises(ModelUnavailable):
            next(rows)

    def test_later_attempt(self, attempt: Attempt, make_spec: MakeSpec) -> None:
        """A retry yields nothing until all is done, so that an outage repeats no rows."""
        attempt.number = 1
        with pytest.raises(ModelUnavailable):
            next(run(transform(Frame("value"), make_spec()), b"a", b"away"))


def limits(compression: str | None) -> dict[str, TopicLimits]:
    """Return the limits of the topics: 10 kB for dead letters, or none."""
    return {"dead": TopicLimits(10_000, ((compression, None),))} if compression else {}


class TestSizes:
    """The limits of the topics reach the workers."""

    @pytest.mark.parametrize(
        ("compression", "kept"), [(None, True), ("gzip", False), ("none", False)]
    )
    def test_noise(
        self, attempt: Attempt, make_spec: MakeSpec, compression: str | None, kept: bool
    ) -> None:
        """A dead letter over the limit has no value; files have no limit."""
        noise = b"\xff" + random.Random(1).randbytes(20_000)  # noqa: S311 - no secret
        (row,) = run(transform(Frame("value"), make_spec(), limits=limits(compression)), noise)
        assert row["topic"] == "dead"
        assert row["value"] == (noise if kept else None)

    def test_compressed(self, attempt: Attempt, make_spec: MakeSpec) -> None:
        """A record that compresses well keeps its value."""
        frame = transform(Frame("value"), make_spec(), limits=limits("gzip"))
        (row,) = run(frame, b"\xff" * 20_000)
        assert row["value"] == b"\xff" * 20_000
