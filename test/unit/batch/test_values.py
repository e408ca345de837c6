"""Rows of files are read without outcomes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tidemill.batch.values import values
from tidemill.errors import InputUnreadable


class TestValues:
    def test_rows(self) -> None:
        """The rows of a compressed CSV file are objects, with numbers as they are written."""
        Path("a.csv.gz").write_bytes(gzip.compress(b"id;n\na;1.50\nb;\n"))
        assert list(values("a.csv.gz")) == [b'{"id":"a","n":1.50}', b'{"id":"b","n":null}']

    def test_named(self) -> None:
        """A format in front of the path wins over the name."""
        Path("a.txt").write_text("id\na\n")
        assert [json.loads(each) for each in values("csv:a.txt")] == [{"id": "a"}]

    def test_malformed(self) -> None:
        """A malformed row is an error that names its file and line."""
        Path("a.csv").write_text("id,n\na,1\nb\n")
        with pytest.raises(InputUnreadable, match=r"a.csv: line 3: .*1 cells"):
            list(values("a.csv"))

    def test_topic(self) -> None:
        """A topic is no file."""
        with pytest.raises(InputUnreadable, match="kafka:t"):
            list(values("kafka:t"))
