"""Tasks share a pool of model processes; each partition keeps its order."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dev.pipeline.pipeline import message
from tidemill.inference.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Pipeline
    from dev.pipeline.records import Record
    from tidemill.inference.model import ModelSpec

COUNT = 600
PROCESSES = 3


@pytest.fixture
def small_batches(spark: SparkSession) -> Iterator[None]:
    """Give the workers few messages at a time, so that they predict several parts at once."""
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before: Any = spark.conf.get(name)
    spark.conf.set(name, "10")
    yield
    spark.conf.set(name, before)


def skewed(weights: Sequence[int]) -> Iterator[dict[str, object]]:
    """Yield messages with random keys, of which each partition gets its share."""
    chosen = random.Random(1)  # noqa: S311 - reproducible, not secret
    for number in range(COUNT):
        (partition,) = chosen.choices(range(len(weights)), weights)
        key = b"%d-%d" % (partition, chosen.randrange(10))
        content = {"value": b"junk"} if chosen.random() < 0.1 else message(number, f"text {number}")
        yield {"key": key, "partition": partition, **content}


def offsets(
    outcomes: Iterable[Record], group: Callable[[Record], object]
) -> dict[object, list[int]]:
    """Return the source offsets of each group of outcomes, in the outcomes' order."""
    groups = defaultdict(list)
    for outcome in outcomes:
        groups[group(outcome)].append(outcome.source[1])
    return groups


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
class TestSkew:
    """Some partitions are longer than others, and calls of the model take random time."""

    @pytest.mark.usefixtures("small_batches")
    @pytest.mark.parametrize("weights", [[1], [8, 4, 2, 1]], ids=str)
    def test_order(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        make_topic: Callable[..., str],
        weights: list[int],
        delivery: str,
    ) -> None:
        """Each message has one outcome, its own; those of a key or a partition keep their order."""
        pipeline = replace(pipeline, source=make_topic("in", partitions=len(weights)))
        pipeline.produce(*skewed(weights))
        spec = model("Jittery", options={"seconds": 0.15}, limits=Limits(batch=5))
        pipeline.answer_all(
            spark,
            [spec],
            delivery=delivery,
            processes=PROCESSES,
            max_offsets_per_trigger=COUNT // 2,
        )
        results, letters = pipeline.results(), pipeline.dead_letters()
        sources = [record.source for record in results + letters]
        assert sorted(sources) == [(r.partition, r.offset) for r in pipeline.inputs()]
        assert len(sources) == COUNT
        for result in map(json.loads, (record.value or b"" for record in results)):
            assert result["answer"] == f"text {result['uuid']}"
        for outcomes in (results, letters):
            of_keys = offsets(outcomes, lambda outcome: outcome.key)
            # The keys of a partition may lie in several partitions of the output topic.
            of_partitions = offsets(outcomes, lambda o: (o.source[0], o.partition))
            assert len(of_keys) > len(weights)
            for numbers in (*of_keys.values(), *of_partitions.values()):
                assert numbers == sorted(numbers)

    def test_one_partition(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        model: Callable[..., ModelSpec],
        delivery: str,
    ) -> None:
        """A single partition keeps all processes busy at the same time."""
        pipeline.produce(*({"partition": 0, **message(i)} for i in range(200)))
        busy = pipeline.folder / "busy"
        busy.mkdir()
        options = {"folder": str(busy), "processes": PROCESSES}
        spec = model("Together", options=options, limits=Limits(batch=4, seconds=200))
        pipeline.answer_all(spark, [spec], delivery=delivery, processes=PROCESSES)
        answers = [json.loads(record.value or b"")["answer"] for record in pipeline.results()]
        assert len(answers) == 200
        assert len(set(answers)) == PROCESSES
