"""Run the transform on a real Spark session."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from pyspark.errors import PySparkException

from faults.job_processes import parent
from tidemill.errors import ModelUnavailable, NoValueColumn
from tidemill.inference.model import Limits
from tidemill.inference.route import single_routes
from tidemill.settings import PoolSettings
from tidemill.spark.failures import translate
from tidemill.spark.schemas import OUTCOME, RECORD
from tidemill.spark.udfs import predictions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from tidemill.inference.model import ModelSpec


def value(text: object, lang: str = "en", uuid: str = "1") -> bytes:
    """Return a message's value."""
    return json.dumps({"text": text, "lang": lang, "uuid": uuid}).encode()


def outcomes_of(frame: DataFrame, *specs: ModelSpec, pool: PoolSettings | None = None) -> DataFrame:
    """Apply the transform."""
    pool = pool or PoolSettings()
    return frame.transform(
        predictions(single_routes(specs), results="good", dead_letters="bad", pool=pool)
    )


class TestAnyFrame:
    """The transform accepts any DataFrame."""

    def test_only_value_is_needed(
        self, spark: SparkSession, model: Callable[..., ModelSpec]
    ) -> None:
        """A frame with only values gets outcomes, without headers about their source."""
        frame = spark.createDataFrame([(value("hello"),), (b"junk",)], "value binary")
        rows = outcomes_of(frame, model("Upper")).collect()
        assert [row.topic for row in rows] == ["good", "bad"]
        assert json.loads(rows[0].value)["answer"] == "HELLO"
        assert {header.key for header in rows[0].headers} == {"tidemill.model"}
        assert bytes(rows[1].value) == b"junk"

    def test_model_traceback(
        self,
        spark: SparkSession,
        model: Callable[..., ModelSpec],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Each process prints a model's traceback, with the model's frames, once."""
        frame = spark.createDataFrame([(value("raise"),)] * 9, "value binary").coalesce(1)
        spec = model("Upper", name="raising", version=uuid4().hex)
        one = PoolSettings(processes=1)
        rows = outcomes_of(frame, spec, pool=one).collect()
        assert {row.error for row in rows} == {"PredictionFailed"}
        printed = ""
        deadline = time.monotonic() + 240
        while "ValueError: asked to raise" not in printed and time.monotonic() < deadline:
            time.sleep(0.1)
            printed += capsys.readouterr().err
        assert f"model {spec.id} failed on an input" in printed
        assert re.search(r"example_models\.py\", line \d+, in predict_all", printed)
        assert printed.count("Traceback") == 1

    def test_schema(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """Outcomes have the documented schema."""
        frame = spark.createDataFrame([], RECORD)
        assert outcomes_of(frame, model("Upper")).schema == OUTCOME

    def test_source_headers(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """Key and headers are kept, followed by headers about the record's source."""
        frame = spark.sql(
            """SELECT binary('k') key, binary('junk') value, 't' topic, 3 partition, 42L offset,
            timestamp_millis(1700000000123) timestamp,
            array(named_struct('key', 'a', 'value', binary('1')),
                  named_struct('key', 'n', 'value', CAST(NULL AS BINARY))) headers"""
        )
        (row,) = outcomes_of(frame, model("Upper")).collect()
        assert bytes(row.key) == b"k"
        headers = [(h.key, h.value and bytes(h.value).decode()) for h in row.headers]
        assert headers[:2] == [("a", "1"), ("n", None)]
        assert headers[2:6] == [
            ("tidemill.source.topic", "t"),
            ("tidemill.source.partition", "3"),
            ("tidemill.source.offset", "42"),
            ("tidemill.source.timestamp", "1700000000123"),
        ]
        assert dict(headers)["tidemill.error.class"] == "InvalidJson"

    def test_order_within_a_partition(
        self, spark: SparkSession, model: Callable[..., ModelSpec]
    ) -> None:
        """Rows keep their order, across Arrow batches, models and failures."""
        texts = ["raise" if i % 7 == 0 else f"text {i}" for i in range(1000)]
        rows = [(value(t, "en" if i % 3 else "fr", str(i)),) for i, t in enumerate(texts)]
        frame = spark.createDataFrame(rows, "value binary").coalesce(1)
        specs = [model("Upper"), model("Upper", name="other", match={"lang": "fr"})]
        out = outcomes_of(frame, *specs).collect()
        assert [json.loads(bytes(row.value))["uuid"] for row in out] == [
            str(i) for i in range(1000)
        ]

    def test_no_value(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A frame without `value` is refused on the driver, before a task runs."""
        with pytest.raises(NoValueColumn, match="it has text"):
            outcomes_of(spark.createDataFrame([("x",)], "text string"), model("Upper"))

    def test_names_in_any_case(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """Column names are case-insensitive, as elsewhere in Spark."""
        frame = spark.createDataFrame([(value("hello"), b"k")], "VALUE binary, Key binary")
        (row,) = outcomes_of(frame, model("Upper")).collect()
        assert (row.topic, bytes(row.key)) == ("good", b"k")


class TestPool:
    """The tasks of a machine share one pool of model processes."""

    def test_once_over_micro_batches(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """One process loads the model once for all micro-batches, and forks of it answer."""
        log, source = tmp_path / "loads", tmp_path / "in"
        source.mkdir()
        draft = tmp_path / "draft"
        spec = model("RecordingModel", options={"log": str(log)})
        frame = spark.readStream.text(str(source)).selectExpr("CAST(value AS BINARY) value")
        query = (
            outcomes_of(frame, spec)
            .writeStream.format("memory")
            .queryName("recorded")
            .option("checkpointLocation", str(tmp_path / "checkpoint"))
            .start()
        )
        try:
            for number in range(5):
                draft.write_bytes(value("hello", uuid=str(number)))
                draft.rename(source / f"{number}.jsonl")  # whole, as Spark reads a file once
                query.processAllAvailable()
            last = query.lastProgress
            assert last is not None
            batches = last["batchId"] + 1
        finally:
            query.stop()
        answers = [
            json.loads(bytes(row.value))["answer"]
            for row in spark.sql("SELECT value FROM recorded").collect()
        ]
        assert (len(answers), batches) == (5, 5)
        (server,) = log.read_text().split()
        assert {parent(answer["pid"]) for answer in answers} == {int(server)}

    def test_threads(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A model process has one thread, and the settings limit numeric libraries."""
        frame = spark.createDataFrame([(value("hello"),)], "value binary")
        spec = model("RecordingModel", options={"log": str(tmp_path / "loads")})
        (row,) = outcomes_of(frame, spec).collect()
        answer = json.loads(bytes(row.value))["answer"]
        assert (answer["may"], answer["threads"]) == ("1", 1)


class TestOutage:
    """A model that is down makes no dead letters."""

    def test_task_fails(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A model that fails on its sample too fails the task with ModelUnavailable."""
        frame = spark.createDataFrame([(value("hello"),)], "value binary")
        with pytest.raises(PySparkException) as caught:
            outcomes_of(frame, model("Broken")).collect()
        error = translate(caught.value, "checkpoint")
        assert isinstance(error, ModelUnavailable)
        assert "broken:1 fails on its own sample" in str(error)
        assert "\n" not in str(error)

    def test_model_hangs_on_everything(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A model that exceeds its time limit on its sample too fails the task."""
        frame = spark.createDataFrame([(value("hello"),)], "value binary")
        spec = model(
            "Hanging", options={"until": str(tmp_path / "never")}, limits=Limits(seconds=0.5)
        )
        with pytest.raises(PySparkException) as caught:
            outcomes_of(frame, spec).collect()
        error = translate(caught.value, "checkpoint")
        assert isinstance(error, ModelUnavailable)
        assert "no answer within 0.5 s" in str(error)
