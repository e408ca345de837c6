"""Tests of a stream that looks features up, and whose results go back into the store."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from batch_runs import dead_letters, results, run_batch
from pyspark.errors import StreamingQueryException
from specs import make_spec

from tidemill.batch.on_spark import run_on_spark
from tidemill.bootstrap.features import on_workers
from tidemill.bootstrap.follow import follow
from tidemill.errors import StoreUnavailable
from tidemill.inference.model import Lookup
from tidemill.inference.route import single_routes
from tidemill.settings import FollowProgram, KafkaSettings, PoolSettings, StoreSettings
from tidemill.spark.failures import translate
from tidemill.store.store import Store
from tidemill.store.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Pipeline

ECHO = make_spec(
    adapter="feature_models:Echo",
    is_text=False,
    sample='{"age": 1}',
    payload=("km",),
    id_field="id",
    lookup=(Lookup(table="people", key=("person",)),),
)


def message(number: int, person: str) -> dict[str, bytes]:
    """Return a record."""
    fields = {"id": f"m{number}", "person": person, "km": number}
    return {"key": b"k", "value": json.dumps(fields).encode()}


@pytest.fixture
def people(tmp_path: Path) -> StoreSettings:
    """A store with the ages of ten people, and a table for scores."""
    tables: Any = {
        "scores": {
            "key": "id",
            "columns": {"id": "text", "out": "json"},
            "time": "ts_start",
            "version": "model",
        }
    }
    settings = StoreSettings(url=f"sqlite:///{tmp_path}/store.db", tables=tables)
    with Store(settings.url) as store:
        table = Table("people", ("id",), {"id": "text", "age": "integer"})
        store.load(table, [{"id": f"p{n}", "age": n} for n in range(10)])
    return settings


class TestBatch:
    """Spark's workers look features up for files, too."""

    def test_features(self, spark: SparkSession, people: StoreSettings, tmp_path: Path) -> None:
        """Results have features, and a missing key is a dead letter."""
        lines = [message(n, f"p{n % 11}")["value"] + b"\n" for n in range(110)]
        (tmp_path / "in.jsonl").write_bytes(b"".join(lines))
        routes = single_routes([ECHO])
        engine = partial(
            run_on_spark, (spark, routes, PoolSettings()), features=on_workers(people, [ECHO])
        )
        run_batch(routes, tmp_path / "in.jsonl", tmp_path / "out", engine)
        found = {each["id"]: each["out"] for each in results(tmp_path / "out")}
        assert found == {f"m{n}": {"km": n, "age": n % 11} for n in range(110) if n % 11 < 10}
        assert len(dead_letters(tmp_path / "out")) == 10


class TestStream:
    """Spark's workers look features up."""

    def test_there_and_back(
        self, spark: SparkSession, pipeline: Pipeline, people: StoreSettings
    ) -> None:
        """Results have features, a missing key is a dead letter, and the results become a table."""
        pipeline.produce(*(message(n, f"p{n % 11}") for n in range(110)))
        features = on_workers(people, [ECHO])
        pipeline.answer_all(spark, [ECHO], features=features, delivery="exactly-once")
        answers = [json.loads(record.value or b"") for record in pipeline.results()]
        expected = {f"m{n}": {"km": n, "age": n % 11} for n in range(110) if n % 11 < 10}
        assert {each["id"]: each["out"] for each in answers} == expected
        assert all(each["features"] == {"people": 1} for each in answers)
        errors = [letter.header("tidemill.error.class") for letter in pipeline.dead_letters()]
        assert errors == ["FeaturesMissing"] * 10

        kafka = KafkaSettings(bootstrap_servers=pipeline.broker.bootstrap_servers)
        program = FollowProgram(kafka=kafka, store=people)
        follow(program, "scores", pipeline.output, until_end=True)
        with Store(people.url) as store:
            (row,) = store.get("scores", ["m1"]).rows
            assert row is not None
            assert (row.values, row.version) == ({"out": {"km": 1, "age": 1}}, "m:1")

    def test_store_down(self, spark: SparkSession, pipeline: Pipeline) -> None:
        """If the store is down, the query fails with its error, and blames no message."""
        settings = StoreSettings(url="postgresql://nobody@127.0.0.1:1/none", timeout=2)
        pipeline.produce(message(0, "p0"))
        with pytest.raises((StreamingQueryException, AssertionError)) as caught:
            pipeline.answer_all(spark, [ECHO], features=on_workers(settings, [ECHO]))
        assert isinstance(translate(caught.value, ""), StoreUnavailable)
        assert pipeline.results() == pipeline.dead_letters() == []
