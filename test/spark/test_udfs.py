"""The transform on a real Spark session."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from tidemill.errors import ModelUnavailable, NoValueColumn
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


def answered(frame: DataFrame, *specs: ModelSpec) -> DataFrame:
    """Apply the transform."""
    return frame.transform(predictions(specs, results="good", dead_letters="bad"))


class TestAnyFrame:
    """The transform is for any DataFrame."""

    def test_only_value_is_needed(
        self, spark: SparkSession, model: Callable[..., ModelSpec]
    ) -> None:
        """A frame with nothing but values gets outcomes, with no header about a source."""
        frame = spark.createDataFrame([(value("hello"),), (b"junk",)], "value binary")
        rows = answered(frame, model("Upper")).collect()
        assert [row.topic for row in rows] == ["good", "bad"]
        assert json.loads(rows[0].value)["answer"] == "HELLO"
        assert {header.key for header in rows[0].headers} == {"tidemill.model"}
        assert bytes(rows[1].value) == b"junk"

    def test_what_a_model_raised(
        self,
        spark: SparkSession,
        model: Callable[..., ModelSpec],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Its traceback goes from the worker to the console, once and with the model's frames."""
        frame = spark.createDataFrame([(value("raise"),)] * 9, "value binary").coalesce(1)
        spec = model("Upper", name="raising", version=uuid4().hex)
        rows = answered(frame, spec).collect()
        assert {row.error for row in rows} == {"PredictionFailed"}
        printed = ""
        deadline = time.monotonic() + 60
        while "ValueError: asked to raise" not in printed and time.monotonic() < deadline:
            time.sleep(0.1)
            printed += capsys.readouterr().err
        assert f"model {spec.id} fails on an input" in printed
        assert re.search(r"example_models\.py\", line \d+, in predict_all", printed)
        assert printed.count("Traceback") == 1

    def test_schema(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """Outcomes have the schema that the Kafka sink takes."""
        frame = spark.createDataFrame([], RECORD)
        assert answered(frame, model("Upper")).schema == OUTCOME

    def test_source_travels(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """Key and headers pass through; where the record came from joins them, after them."""
        frame = spark.sql(
            """SELECT binary('k') key, binary('junk') value, 't' topic, 3 partition, 42L offset,
            timestamp_millis(1700000000123) timestamp,
            array(named_struct('key', 'a', 'value', binary('1')),
                  named_struct('key', 'n', 'value', CAST(NULL AS BINARY))) headers"""
        )
        (row,) = answered(frame, model("Upper")).collect()
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
        """Rows leave in the order they came, over several Arrow batches, models and failures."""
        texts = ["raise" if i % 7 == 0 else f"text {i}" for i in range(1000)]
        rows = [(value(t, "en" if i % 3 else "fr", str(i)),) for i, t in enumerate(texts)]
        frame = spark.createDataFrame(rows, "value binary").coalesce(1)
        specs = [model("Upper"), model("Upper", name="other", match={"lang": "fr"})]
        out = answered(frame, *specs).collect()
        assert [json.loads(bytes(row.value))["uuid"] for row in out] == [
            str(i) for i in range(1000)
        ]

    def test_no_value(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A frame without `value` is refused on the driver, before a task runs."""
        with pytest.raises(NoValueColumn, match="it has text"):
            answered(spark.createDataFrame([("x",)], "text string"), model("Upper"))

    def test_names_in_any_case(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """As elsewhere in Spark, a column's name is as good in capitals."""
        frame = spark.createDataFrame([(value("hello"), b"k")], "VALUE binary, Key binary")
        (row,) = answered(frame, model("Upper")).collect()
        assert (row.topic, bytes(row.key)) == ("good", b"k")


class TestWorkers:
    """A worker process loads a model once."""

    def test_once_over_micro_batches(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Micro-batches come and go; each worker process loads the model once, and keeps it."""
        log, source = tmp_path / "loads", tmp_path / "in"
        source.mkdir()
        spec = model("RecordingModel", options={"log": str(log)})
        frame = spark.readStream.text(str(source)).selectExpr("CAST(value AS BINARY) value")
        query = (
            answered(frame, spec)
            .writeStream.format("memory")
            .queryName("recorded")
            .option("checkpointLocation", str(tmp_path / "checkpoint"))
            .start()
        )
        try:
            for number in range(5):
                (source / f"{number}.jsonl").write_bytes(value("hello", uuid=str(number)))
                query.processAllAvailable()
            batches = query.lastProgress["batchId"] + 1
        finally:
            query.stop()
        said = [
            json.loads(bytes(row.value))["answer"]
            for row in spark.sql("SELECT value FROM recorded").collect()
        ]
        loads = log.read_text().split()
        assert (len(said), batches) == (5, 5)
        assert len(loads) == len(set(loads)), "a process loaded the model twice"
        assert {str(answer["pid"]) for answer in said} == set(loads)
        assert len(loads) < batches

    def test_threads(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Numeric libraries are held to what the settings give; nothing else has a thread."""
        frame = spark.createDataFrame([(value("hello"),)], "value binary")
        spec = model("RecordingModel", options={"log": str(tmp_path / "loads")})
        (row,) = answered(frame, spec).collect()
        answer = json.loads(bytes(row.value))["answer"]
        assert (answer["may"], answer["threads"]) == ("1", 1)


class TestOutage:
    """An outage of the model is not bad input."""

    def test_task_fails(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A model that fails on its sample too fails the task, by its name here."""
        frame = spark.createDataFrame([(value("hello"),)], "value binary")
        with pytest.raises(PySparkException) as caught:
            answered(frame, model("Broken")).collect()
        error = translate(caught.value, "checkpoint")
        assert isinstance(error, ModelUnavailable)
        assert "broken:1 is down" in str(error)
        assert "\n" not in str(error)

    def test_a_model_that_hangs_on_everything(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Its worker is ended after the idle time-out; the second attempt finds an outage."""
        key = "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"
        before: Any = spark.conf.get(key)
        spark.conf.set(key, "15")
        try:
            frame = spark.createDataFrame([(value("hello"),)], "value binary")
            spec = model("Hanging", options={"until": str(tmp_path / "never")})
            with pytest.raises((Py4JJavaError, PySparkException)) as caught:
                answered(frame, spec).collect()
        finally:
            spark.conf.set(key, before)
        error = translate(caught.value, "checkpoint")
        assert isinstance(error, ModelUnavailable)
        assert "no answer within 0.75 s" in str(error)
