"""`tidemill batch` on real files."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from app.batch import files
from app.batch.files import Counts
from app.errors import InputUnreadable, OutputExists

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from app.inference.model import ModelSpec

GOOD = {"text": "hello", "lang": "en", "uuid": "1"}


def lines(folder: Path) -> list[bytes]:
    """Return the lines of all part files."""
    return [
        line for part in sorted(folder.glob("part-*")) for line in part.read_bytes().splitlines()
    ]


class TestJsonLines:
    """Lines in, lines out."""

    def test_every_line_has_an_outcome(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Results and dead letters lie side by side; a blank line is no message."""
        source, target = tmp_path / "in.jsonl", tmp_path / "out"
        source.write_bytes(
            b"\n".join([json.dumps(GOOD).encode(), b"", b"junk", b"  ", b'{"text": "\xff"}', b""])
        )
        counts = files.run(spark, [model("Upper")], str(source), str(target))
        assert counts == Counts(messages=3, results=1, dead_letters=2)
        (result,) = lines(target / "outcome=results")
        assert json.loads(result)["answer"] == "HELLO"
        junk, binary = map(json.loads, lines(target / "outcome=dead-letters"))
        assert junk["value"] == "junk"
        assert junk["headers"]["tidemill.error.class"] == "InvalidJson"
        assert junk["headers"]["tidemill.source.topic"].endswith("in.jsonl")
        assert base64.b64decode(binary["value_base64"]) == b'{"text": "\xff"}'

    def test_carriage_returns_and_no_final_newline(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Files from elsewhere, with CRLF, are read line by line too."""
        source = tmp_path / "in.jsonl"
        source.write_bytes(b"\r\n".join([json.dumps(GOOD).encode()] * 2))
        counts = files.run(spark, [model("Upper")], str(source), str(tmp_path / "out"))
        assert counts == Counts(2, 2, 0)


class TestParquet:
    """Parquet in, Parquet out."""

    def test_rows_are_messages(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A row's columns are the fields of its message; a null column is a missing field."""
        source, target = str(tmp_path / "in.parquet"), str(tmp_path / "out")
        frame = spark.createDataFrame(
            [("hi", "en", "1"), (None, "en", "2")], "text string, lang string, uuid string"
        )
        frame.write.parquet(source)
        counts = files.run(spark, [model("Upper")], source, target)
        assert counts == Counts(2, 1, 1)
        out = spark.read.parquet(target)
        assert {row.outcome for row in out.collect()} == {"results", "dead-letters"}

    def test_records_as_kafka_has_them(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """With a column `value` the rows are records, their keys and bytes kept."""
        source, target = str(tmp_path / "in.parquet"), str(tmp_path / "out")
        spark.createDataFrame([(b"k", b"\xff\x00")], "key binary, value binary").write.parquet(
            source
        )
        files.run(spark, [model("Upper")], source, target)
        (row,) = spark.read.parquet(target).collect()
        assert (bytes(row.key), bytes(row.value), row.outcome) == (
            b"k",
            b"\xff\x00",
            "dead-letters",
        )

    def test_a_column_called_value(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A column `value` of another type is a field of the message like any other."""
        source, target = str(tmp_path / "in.PARQUET"), str(tmp_path / "out")
        frame = spark.createDataFrame(
            [("hi", "en", "1", 1.5)], "text string, lang string, uuid string, value double"
        )
        frame.write.parquet(source)
        assert files.run(spark, [model("Upper")], source, target) == Counts(1, 1, 0)

    def test_dead_letters_of_any_size(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A file takes a dead letter that no topic would."""
        source, target = str(tmp_path / "in.parquet"), str(tmp_path / "out")
        large = b"\xff" * (2_000_000)
        spark.createDataFrame([(large,)], "value binary").write.parquet(source)
        files.run(spark, [model("Upper")], source, target)
        (row,) = spark.read.parquet(target).collect()
        assert bytes(row.value) == large


class TestFolders:
    """A folder is read with all that is below it."""

    def test_nested(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Files by year and month are found."""
        folder = tmp_path / "in" / "2024" / "01"
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_text(json.dumps(GOOD))
        counts = files.run(spark, [model("Upper")], str(tmp_path / "in"), str(tmp_path / "out"))
        assert counts == Counts(1, 1, 0)

    def test_empty(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A folder without files is no input."""
        (tmp_path / "in").mkdir()
        with pytest.raises(InputUnreadable, match="there are no files"):
            files.run(spark, [model("Upper")], str(tmp_path / "in"), str(tmp_path / "out"))

    def test_two_kinds(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Parquet beside JSON lines is refused rather than guessed."""
        spark.createDataFrame([(b"x",)], "value binary").write.parquet(str(tmp_path / "in" / "p"))
        (tmp_path / "in" / "a.jsonl").write_text(json.dumps(GOOD))
        with pytest.raises(InputUnreadable, match="give one kind"):
            files.run(spark, [model("Upper")], str(tmp_path / "in"), str(tmp_path / "out"))


class TestFailure:
    """A batch that fails leaves nothing that bars the next try."""

    def test_output_is_removed(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """With the model up again the same command succeeds."""
        source, target = tmp_path / "in.jsonl", tmp_path / "out"
        source.write_text(json.dumps(GOOD))
        with pytest.raises((PySparkException, Py4JError)):
            files.run(spark, [model("Broken")], str(source), str(target))
        assert not target.exists()
        assert files.run(spark, [model("Upper")], str(source), str(target)).results == 1


class TestRefusals:
    """What cannot be done is said in one line, and nothing is overwritten."""

    def test_no_input(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A missing input is named."""
        with pytest.raises(InputUnreadable, match="nowhere"):
            files.run(spark, [model("Upper")], str(tmp_path / "nowhere"), str(tmp_path / "o"))

    def test_output_is_there(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """An output that exists is left alone."""
        source, target = tmp_path / "in.jsonl", tmp_path / "out"
        source.write_text(json.dumps(GOOD))
        target.mkdir()
        with pytest.raises(OutputExists):
            files.run(spark, [model("Upper")], str(source), str(target))
