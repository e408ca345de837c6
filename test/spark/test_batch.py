"""Run a batch on real files."""

from __future__ import annotations

import base64
import gzip
import json
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from py4j.protocol import Py4JError
from pyarrow import parquet
from pyspark.errors import PySparkException

from tidemill.batch import files
from tidemill.batch.files import Counts
from tidemill.errors import InputUnreadable, OutputExists
from tidemill.inference.route import single_routes
from tidemill.spark.failures import translate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from tidemill.inference.model import ModelSpec

GOOD = {"text": "hello", "lang": "en", "uuid": "1"}


def lines(folder: Path) -> list[bytes]:
    """Return the lines of all part files."""
    return [
        line for part in sorted(folder.glob("part-*")) for line in part.read_bytes().splitlines()
    ]


def answers(
    spark: SparkSession, model: Callable[..., ModelSpec], source: Path, target: Path
) -> list[tuple[str, int, str]]:
    """Process lines of text; return the file, line and answer of each result, sorted."""
    spec = model("Upper", match={}, payload=None)
    files.run(spark, single_routes([spec]), str(source), str(target))
    results = map(json.loads, lines(target / "outcome=results"))
    return sorted(
        (source["file"], source["line"], result["answer"])
        for result in results
        for source in [result["tidemill.source"]]
    )


class TestJsonLines:
    """JSON lines become JSON lines."""

    def test_every_line_has_an_outcome(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Every line becomes a result or a dead letter that names its file and line."""
        source, target = tmp_path / "in.jsonl", tmp_path / "out"
        source.write_bytes(
            b"\n".join([b"", json.dumps(GOOD).encode(), b"junk", b"  ", b'{"text": "\xff"}', b""])
        )
        counts = files.run(spark, single_routes([model("Upper")]), str(source), str(target))
        assert counts == Counts(messages=3, results=1, dead_letters=2)
        (result,) = map(json.loads, lines(target / "outcome=results"))
        assert result["answer"] == "HELLO"
        assert result["tidemill.source"] == {"file": str(source), "line": 2}
        junk, binary = map(json.loads, lines(target / "outcome=dead-letters"))
        assert junk["value"] == "junk"
        assert junk["headers"]["tidemill.error.class"] == "InvalidJson"
        assert junk["headers"]["tidemill.source.file"] == str(source)
        assert [letter["headers"]["tidemill.source.line"] for letter in (junk, binary)] == [
            "3",
            "5",
        ]
        assert base64.b64decode(binary["value_base64"]) == b'{"text": "\xff"}'

    def test_line_endings(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A byte order mark, CRLF, NUL or no final newline is accepted; blank lines are skipped."""
        folder = tmp_path / "in"
        folder.mkdir()
        odd = b"\xef\xbb\xbfone\r\n\t\r\n\x0b \x0c\r\n\xc2\xa0\xe3\x80\x80\r\ntwo\0\r\nthree"
        (folder / "a.txt").write_bytes(odd)
        (folder / "b.txt.gz").write_bytes(gzip.compress(odd))
        assert answers(spark, model, folder, tmp_path / "out") == [
            (str(folder / name), line, text)
            for name in ("a.txt", "b.txt.gz")
            for line, text in ((1, "ONE"), (5, "TWO\0"), (6, "THREE"))
        ]

    def test_split_files(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Line numbers are right even if Spark reads a file in many splits."""
        folder = tmp_path / "in"
        folder.mkdir()
        chosen = random.Random(1)  # noqa: S311 - no secret
        words = [b"", b"x", b"\t", b"word " * 5, b"word " * 30]
        for name, end in (("a", b"\n"), ("b", b"\r\n")):
            text = end.join(chosen.choice(words) for _ in range(30))
            (folder / name).write_bytes(text)
        key = "spark.sql.files.maxPartitionBytes"
        before: Any = spark.conf.get(key)
        spark.conf.set(key, "101b")  # most lines are shorter, and some are longer
        try:
            results = answers(spark, model, folder, tmp_path / "out")
        finally:
            spark.conf.set(key, before)
        assert len(list((tmp_path / "out" / "outcome=results").glob("part-*"))) > 5
        assert results == [
            (str(folder / name), number, line.decode().upper())
            for name in ("a", "b")
            for number, line in enumerate((folder / name).read_bytes().splitlines(), 1)
            if line.strip()
        ]


class TestNames:
    """A path is taken literally, not as a pattern."""

    NAME = "a [b]{c,d}*?\\+%20#é\N{CJK UNIFIED IDEOGRAPH-65E5}"

    def test_files_and_folders(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Special characters have no meaning in a name; hidden files in a folder are skipped."""
        folder = tmp_path / f"{self.NAME}:e"
        file = folder / self.NAME
        folder.mkdir()
        file.write_text("one")
        (folder / "_two").write_text("two")
        (tmp_path / "a b").write_text("a file that a pattern would match")
        assert answers(spark, model, file, tmp_path / "1") == [(str(file), 1, "ONE")]
        assert answers(spark, model, folder, tmp_path / "2") == [(str(file), 1, "ONE")]

    def test_hidden(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A hidden file is read if it is the input itself."""
        file = tmp_path / "_2026-11-28T10:00"
        file.write_text("one")
        assert answers(spark, model, file, tmp_path / "out") == [(str(file), 1, "ONE")]


class TestBroken:
    """A file whose content does not fit its name is reported."""

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.jsonl.gz", gzip.compress(random.Random(1).randbytes(9999), mtime=0)[:5000]),  # noqa: S311
            ("a.parquet", b"no Parquet at all"),
        ],
    )
    def test_named(
        self,
        spark: SparkSession,
        model: Callable[..., ModelSpec],
        tmp_path: Path,
        name: str,
        content: bytes,
    ) -> None:
        """The error is InputUnreadable, and names the file."""
        (tmp_path / name).write_bytes(content)
        with pytest.raises((PySparkException, Py4JError)) as caught:
            files.run(
                spark, single_routes([model("Upper")]), str(tmp_path / name), str(tmp_path / "out")
            )
        error = translate(caught.value, "checkpoint")
        assert isinstance(error, InputUnreadable)
        assert str(tmp_path / name) in str(error)


class TestParquet:
    """Parquet becomes Parquet."""

    def test_rows_are_messages(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """The columns of a row are the fields of its message; a null column is a missing field."""
        source, target = str(tmp_path / "in.parquet"), str(tmp_path / "out")
        frame = spark.createDataFrame(
            [("hi", "en", "1"), (None, "en", "2")], "text string, lang string, uuid string"
        )
        frame.coalesce(1).write.parquet(source)
        counts = files.run(spark, single_routes([model("Upper")]), source, target)
        assert counts == Counts(2, 1, 1)
        rows = {row.outcome: row for row in spark.read.parquet(target).collect()}
        assert {outcome: row.source.row for outcome, row in rows.items()} == {
            "results": 0,
            "dead-letters": 1,
        }
        assert rows["results"].source.file.startswith(source)

    def test_rows_are_records(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """With a binary column `value`, rows are records, as pandas and pyarrow write them."""
        source, target = str(tmp_path / "in.parquet"), str(tmp_path / "out")
        columns = {
            "value": [b"\xff\x00"],
            "key": [None],  # pyarrow cannot infer a type
            "topic": ["t"],
            "partition": [3],
            "timestamp": [1_700_000_000_123],
            "headers": pa.array([[("a", b"1")]], pa.map_(pa.string(), pa.binary())),
        }
        parquet.write_table(pa.table(columns), source)
        files.run(spark, single_routes([model("Upper")]), source, target)
        (row,) = spark.read.parquet(target).collect()
        assert (row.key, bytes(row.value), row.outcome) == (None, b"\xff\x00", "dead-letters")
        assert (row.source.file, row.source.row) == (source, 0)
        assert [(h.key, bytes(h.value).decode()) for h in row.headers[:6]] == [
            ("a", "1"),
            ("tidemill.source.file", source),
            ("tidemill.source.row", "0"),
            ("tidemill.source.topic", "t"),
            ("tidemill.source.partition", "3"),
            ("tidemill.source.timestamp", "1700000000123"),
        ]

    def test_wrong_column_types(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Columns with unsuitable types are refused, and the error names all of them."""
        source = str(tmp_path / "in.parquet")
        parquet.write_table(
            pa.table({"value": [b"x"], "key": [1], "timestamp": ["1970-01-01"]}), source
        )
        with pytest.raises(InputUnreadable, match=r"'key' is bigint.*'timestamp' is string"):
            files.run(spark, single_routes([model("Upper")]), source, str(tmp_path / "out"))

    def test_a_column_called_value(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A column `value` that is not binary is a field of the message."""
        source, target = str(tmp_path / "in.PARQUET"), str(tmp_path / "out")
        frame = spark.createDataFrame(
            [("hi", "en", "1", 1.5)], "text string, lang string, uuid string, value double"
        )
        frame.write.parquet(source)
        assert files.run(spark, single_routes([model("Upper")]), source, target) == Counts(1, 1, 0)

    def test_dead_letters_of_any_size(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """A dead letter in a file may be larger than any topic allows."""
        source, target = str(tmp_path / "in.parquet"), str(tmp_path / "out")
        large = b"\xff" * (2_000_000)
        spark.createDataFrame([(large,)], "value binary").write.parquet(source)
        files.run(spark, single_routes([model("Upper")]), source, target)
        (row,) = spark.read.parquet(target).collect()
        assert bytes(row.value) == large


class TestFolders:
    """A folder is read with its subfolders."""

    def test_nested(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """Files in nested folders are read."""
        folder = tmp_path / "in" / "2024" / "01"
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_text(json.dumps(GOOD))
        counts = files.run(
            spark, single_routes([model("Upper")]), str(tmp_path / "in"), str(tmp_path / "out")
        )
        assert counts == Counts(1, 1, 0)


class TestFailure:
    """A failed batch does not make the next run fail."""

    def test_output_is_removed(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """The output is removed, and the same command succeeds once the model works."""
        source, target = tmp_path / "in.jsonl", tmp_path / "out"
        source.write_text(json.dumps(GOOD))
        with pytest.raises((PySparkException, Py4JError)):
            files.run(spark, single_routes([model("Broken")]), str(source), str(target))
        assert not target.exists()
        assert (
            files.run(spark, single_routes([model("Upper")]), str(source), str(target)).results == 1
        )


class TestRefusals:
    """Nothing is overwritten."""

    def test_output_exists(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """An existing output is an error."""
        source, target = tmp_path / "in.jsonl", tmp_path / "out"
        source.write_text(json.dumps(GOOD))
        target.mkdir()
        with pytest.raises(OutputExists):
            files.run(spark, single_routes([model("Upper")]), str(source), str(target))
