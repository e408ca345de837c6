"""Read files as people have them."""

from __future__ import annotations

import base64
import bz2
import datetime as dt
import gzip
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import zstandard
from batch_runs import dead_letters, in_process, results, run_batch
from example_models import Upper
from pyarrow import parquet
from specs import make_spec

from tidemill.batch.formats import delimited
from tidemill.errors import InputUnreadable
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.batch.summary import Summary

ROUTES = single_routes([make_spec(payload="text", id_field=None)])
PLAIN = single_routes([make_spec(payload=None, id_field=None)])
LINES = b'{"text": "a"}\n{"text": "b"}'
OUT = Path("out")


def run(source: object, target: object = "out", **options: Any) -> Summary:  # noqa: ANN401
    """Run a batch with a model that answers in capitals."""
    return run_batch(ROUTES, source, target, in_process(ROUTES, Upper()), **options)


def errors() -> list[str]:
    """Return the error of each dead letter."""
    return [letter["headers"]["tidemill.error.class"] for letter in dead_letters(OUT)]


def write_tables(*tables: dict[str, Any]) -> None:
    """Write Parquet files into a folder; each column `text` has one row."""
    Path("in").mkdir()
    for number, columns in enumerate(tables):
        parquet.write_table(pa.table({"text": ["a"], **columns}), f"in/{number}.parquet")


class TestLines:
    """Lines of text in any form that programs write."""

    @pytest.mark.parametrize("compress", [bytes, gzip.compress])
    def test_line_endings(self, compress: Callable[[bytes], bytes]) -> None:
        """A byte order mark, CRLF, NUL or no final newline is accepted; blank lines are skipped."""
        odd = b"\xef\xbb\xbfone\r\n\t\r\n\x0b \x0c\r\n\xc2\xa0\xe3\x80\x80\r\ntwo\0\rthree"
        name = "a.txt" if compress is bytes else "a.txt.gz"
        Path(name).write_bytes(compress(odd))
        run_batch(PLAIN, name, "out", in_process(PLAIN, Upper()))
        assert [(row["out"], row["tidemill.source"]["line"]) for row in results(OUT)] == [
            ("ONE", 1),
            ("TWO\0", 5),
            ("THREE", 6),
        ]

    @pytest.mark.parametrize(
        ("suffix", "compress"),
        [("gz", gzip.compress), ("bz2", bz2.compress), ("zst", zstandard.compress)],
    )
    def test_compressed(self, suffix: str, compress: Callable[[bytes], bytes]) -> None:
        """Two compressed files after one another are one; line numbers go on."""
        Path(f"a.jsonl.{suffix}").write_bytes(compress(LINES + b"\n") + compress(LINES))
        assert run(f"a.jsonl.{suffix}").results == 4
        assert [row["tidemill.source"]["line"] for row in results(OUT)] == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.jsonl.gz", gzip.compress(random.Random(1).randbytes(9999), mtime=0)[:5000]),  # noqa: S311
            ("a.jsonl.gz", LINES),
            ("a.jsonl.zst", b"\x28\xb5\x2f\xfd broken"),
            ("parquet:a", b"no Parquet at all"),
        ],
    )
    def test_broken(self, name: str, content: bytes) -> None:
        """A file whose content does not fit its name is named."""
        path = name.removeprefix("parquet:")
        Path(path).write_bytes(content)
        with pytest.raises(InputUnreadable, match=f"{path}: "):
            run(name)
        assert not OUT.exists()

    def test_utf16(self) -> None:
        """Lines in UTF-16 become dead letters; the first one says why."""
        Path("a.jsonl").write_bytes(LINES.decode().encode("utf-16"))
        summary = run("a.jsonl")
        assert summary.results == 0
        first = dead_letters(OUT)[0]
        assert "looks like UTF-16" in first["headers"]["tidemill.error.message"]
        assert base64.b64decode(first["value_base64"]).startswith(b"\xff\xfe")

    @pytest.mark.parametrize("target", ["jsonl", "csv", "parquet", "delta"])
    def test_empty(self, target: str) -> None:
        """An empty file is a batch without rows."""
        Path("a.jsonl").touch()
        summary = run("a.jsonl", f"{target}:out")
        assert (summary.messages, summary.rate) == (0, 0)
        assert [path.name for path in OUT.iterdir() if path.is_file()] == ["summary.json"]

    def test_many_small_files(self) -> None:
        """Many small files are few splits, and few files with results."""
        Path("in").mkdir()
        for number in range(2000):
            Path(f"in/{number:05}").write_bytes(b'{"text": "a"}')
        assert run("in").results == 2000
        assert len(list(OUT.glob("results/*"))) == 1
        names = [Path(row["tidemill.source"]["file"]).name for row in results(OUT)]
        assert names == [f"{number:05}" for number in range(2000)]


class TestCsv:
    """CSV as spreadsheets and programs write it."""

    @pytest.mark.parametrize(
        "content",
        [
            b"text,n\na,1\n",
            b"\xef\xbb\xbftext,n\r\na,1",
            b"text;n\ra;1\r",
            b'"text"\t"n"\na\t1\n',
            b"text|n\n\na|1\n\n",
        ],
    )
    def test_dialects(self, content: bytes) -> None:
        """The delimiter, the ends of lines and the quotes are recognised."""
        Path("a.csv").write_bytes(content)
        assert run("csv:a.csv", "parquet:out").results == 1
        (row,) = results(OUT)
        assert (row["text"], row["n"], row["out"]) == ("a", 1, "A")

    def test_cells(self) -> None:
        """Delimiters, quotes and line breaks in a cell are kept; the line is the row's first."""
        Path("a.csv").write_bytes(b'text,n\n"a,\r\n""b""\n",1\nc,2\n')
        run("csv:a.csv", "csv:out")
        first, second = results(OUT)
        assert first["text"] == 'a,\r\n"b"\n'
        lines = [json.loads(row["tidemill.source"])["line"] for row in (first, second)]
        assert lines == [2, 5]

    def test_names(self) -> None:
        """A column without a name gets the name of its place; a name that occurs twice does not."""
        Path("a.csv").write_bytes(b",text,\n0,a,1\n")
        run("csv:a.csv", "csv:out")
        assert list(results(OUT)[0])[:3] == ["column_1", "text", "column_3"]
        Path("b.csv").write_bytes(b"text,text\na,b\n")
        with pytest.raises(InputUnreadable, match="two columns are named 'text'"):
            run("csv:b.csv", "again")

    def test_rows_that_do_not_fit(self) -> None:
        """A row with too few or many cells, or invalid UTF-8, is a dead letter with its text."""
        Path("a.csv").write_bytes(b'text,n\na\n"b\n",1,2\nc\xff,3\nd,4\n')
        assert run("csv:a.csv", "csv:out").results == 1
        assert errors() == ["MalformedRow", "MalformedRow", "InvalidUtf8"]
        values = [
            letter.get("value") or base64.b64decode(letter["value_base64"])
            for letter in dead_letters(OUT)
        ]
        assert values == ["a", '"b\n",1,2', b"c\xff,3"]

    @pytest.mark.parametrize("limit", [delimited.MAX_CELL, 10])
    def test_open_quote(self, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        """A quote that nothing closes would hide the rows after it; the error names its line."""
        monkeypatch.setattr(delimited, "MAX_CELL", limit)
        Path("a.csv").write_bytes(b'text,n\na,1\n"b,2\n' + b"c,3\n" * 10)
        with pytest.raises(InputUnreadable, match=r"a.csv: line 3: .*quote.* closed"):
            run("csv:a.csv")

    def test_numbers(self) -> None:
        """In a table, numbers are numbers, unless they would lose digits or have another form."""
        Path("a.csv").write_bytes(
            b"text,n,big,zip,mixed,float,huge\n"
            b"a,1,12345678901234567890,007,1,1.50,1e400\nb,,2,1,1.5,-2,0.5\n"
        )
        run("csv:a.csv", "parquet:out")
        first, second = results(OUT)
        assert (first["n"], second["n"]) == (1, None)
        assert (first["big"], first["zip"], first["huge"]) == (
            "12345678901234567890", "007", "1e400",
        )  # fmt: skip
        assert (first["mixed"], first["float"], second["float"]) == (1.0, 1.5, -2.0)
        run("csv:a.csv", "csv:again")
        text = Path("again/results/part-00000-00000.csv").read_text()
        assert "a,1,12345678901234567890,007,1,1.50,1e400," in text

    def test_utf16(self) -> None:
        """A file in UTF-16 is refused."""
        Path("a.csv").write_bytes("text,n\na,1\n".encode("utf-16"))
        with pytest.raises(InputUnreadable, match="is not UTF-8"):
            run("csv:a.csv")


class TestParquet:
    """Parquet columns of any type."""

    @pytest.mark.parametrize("target", ["jsonl", "csv", "parquet", "delta"])
    def test_types(self, target: str) -> None:
        """Every type can be read, is in the message as JSON, and is in every output."""
        nano = pa.timestamp("ns")
        write_tables(
            {
                "nano": pa.array([1_700_000_000_123_456_789], nano),
                "nested": pa.array([[1_700_000_000_123_456_789]], pa.list_(nano)),
                "duration": pa.array([1500], pa.duration("ns")),
                "time": pa.array([1500], pa.time64("ns")),
                "decimal": [Decimal("1.10")],
                "date": [dt.date(2020, 2, 29)],
                "binary": [b"\xff\0"],
                "nan": [float("nan")],
                "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
                "category": pa.array(["x"]).dictionary_encode(),
                "null": pa.nulls(1),
                "half": pa.array([1.5], pa.float16()),
                "uint64": pa.array([2**64 - 1], pa.uint64()),
                "vector": pa.array([[1, 2]], pa.list_(pa.float32(), 2)),
                "paris": pa.array([0], pa.timestamp("us", "Europe/Paris")),
            }
        )
        run("parquet:in", f"{target}:out")
        (row,) = results(OUT)
        assert row["out"] == "A"
        if target == "parquet":
            assert row["nano"] == dt.datetime(2023, 11, 14, 22, 13, 20, 123456)  # noqa: DTZ001
            assert (row["decimal"], row["binary"]) == (Decimal("1.10"), b"\xff\0")
            assert row["uint64"] == 2**64 - 1
        if target == "csv":
            assert (row["decimal"], row["binary"], row["map"]) == ("1.10", "/wA=", '{"a":1}')

    def test_names_of_the_result(self) -> None:
        """Columns that have the name of a result's field get a prefix, even a second time."""
        write_tables({"model": ["x"], "input_model": ["y"], "out": [1]})
        run("parquet:in", "parquet:out")
        (row,) = results(OUT)
        assert row["model"] == "m:1"
        assert (row["input_model"], row["input_input_model"], row["input_out"]) == ("y", "x", 1)
        run("parquet:out/results", "parquet:again")
        (row,) = results(Path("again"))
        assert row["model"] == "m:1"
        assert all(value in row.values() for value in ("x", "y", 1, "A"))

    def test_two_columns_of_a_name(self) -> None:
        """A file with two columns of a name is refused before the run begins."""
        Path("in").mkdir()
        columns = [pa.array(["a"]), pa.array([1]), pa.array([2])]
        parquet.write_table(pa.table(columns, ["text", "x", "x"]), "in/a.parquet")
        with pytest.raises(InputUnreadable, match="two columns are named 'x'"):
            run("parquet:in")

    @pytest.mark.parametrize("part_rows", [1, 5000])
    @pytest.mark.parametrize("target", ["csv", "parquet", "delta"])
    def test_different_columns(self, target: str, part_rows: int) -> None:
        """Files may differ in columns and types; types without a common one become text."""
        write_tables(
            {"x": [1], "number": [2**53 + 1], "list": [[]], "struct": [{"a": 1}]},
            {"x": ["b"], "number": [0.5], "list": [[1]], "struct": [1], "more": [1]},
        )
        assert run("parquet:in", f"{target}:out", part_rows=part_rows).results == 2
        first, second = results(OUT)
        assert (first["x"], second["x"]) == ("1", "b")
        assert (first["struct"], second["struct"]) == ('{"a":1}', "1")
        assert float(second["number"]) == 0.5
        if target != "csv":
            assert (first["list"], second["list"]) == ([], [1])
            assert (first["more"], second["more"]) == (None, 1)

    def test_records(self) -> None:
        """With a binary column `value`, rows are records; a dead letter has their headers."""
        columns = {
            "value": [b"\xff\x00", b'{"text": "a"}', None],
            "key": [None, b"k", None],
            "topic": ["t", "t", None],
            "partition": [3, 3, None],
            "timestamp": [1_700_000_000_123, None, None],
            "headers": pa.array([[("a", b"1")], [], None], pa.map_(pa.string(), pa.binary())),
        }
        parquet.write_table(pa.table(columns), "a.parquet")
        assert run("parquet:a.parquet").results == 1
        letter, null = dead_letters(OUT)
        assert base64.b64decode(letter["value_base64"]) == b"\xff\x00"
        assert (
            letter["headers"].items()
            >= {
                "a": "1",
                "tidemill.source.row": "0",
                "tidemill.source.topic": "t",
                "tidemill.source.partition": "3",
                "tidemill.source.timestamp": "1700000000123",
            }.items()
        )
        assert null["headers"]["tidemill.error.class"] == "NullValue"

    def test_records_of_wrong_types(self) -> None:
        """Columns with unsuitable types are refused, and the error names all of them."""
        columns = {"value": [b"x"], "key": [1], "timestamp": ["1970"], "headers": ["a"]}
        parquet.write_table(pa.table(columns), "a.parquet")
        named = "'key' is int64, 'timestamp' is string, 'headers' is string"
        with pytest.raises(InputUnreadable, match=named):
            run("parquet:a.parquet")

    def test_results_of_mixed_types(self) -> None:
        """Results that are now text, now a number, are text; nothing is lost."""

        class Mixed:
            def predict_all(self, inputs: list[str]) -> list[str]:
                return [{"a": '"t"', "b": "[1, {}]", "c": "1.5"}[text] for text in inputs]

        Path("a.jsonl").write_bytes(LINES + b'\n{"text": "c"}')
        run_batch(ROUTES, "a.jsonl", "parquet:out", in_process(ROUTES, Mixed()))
        assert [row["out"] for row in results(OUT)] == ["t", "[1,{}]", "1.5"]
