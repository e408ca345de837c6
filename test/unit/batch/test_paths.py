from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.batch.paths import HADOOP_VARIABLES, local_path, printable
from tidemill.batch.source import find_source


class TestLocalPath:
    """Only paths on this machine can be inspected before Spark starts."""

    @pytest.mark.parametrize(
        ("given", "path"),
        [
            ("/a/b", "/a/b"),
            ("/a/x/../b", "/a/b"),
            ("file:/a/b", "/a/b"),
            ("file:///a/b", "/a/b"),
            ("file:/a/b%20[c]", "/a/b%20[c]"),
        ],
    )
    def test_here(self, given: str, path: str) -> None:
        """A plain path is local, and so is a `file:` URI, which Hadoop does not decode."""
        assert local_path(given) == Path(path)

    def test_relative(self, tmp_path: Path) -> None:
        """A relative path starts at the working folder, even if it looks like a URI."""
        assert local_path("a:b.jsonl") == tmp_path / "a:b.jsonl"

    @pytest.mark.parametrize("given", ["s3a://bucket/x", "hdfs:///x", "dbfs:/x", "file://host/x"])
    def test_elsewhere(self, given: str) -> None:
        """A path on another file system is left to Spark."""
        assert local_path(given) is None
        assert find_source(given).local is None

    @pytest.mark.parametrize(
        "variable", ["HADOOP_CONF_DIR", "YARN_CONF_DIR", "DATABRICKS_RUNTIME_VERSION"]
    )
    def test_other_default(self, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        """With a Hadoop configuration a plain path may be on any file system."""
        assert variable in HADOOP_VARIABLES
        monkeypatch.setenv(variable, "/etc/hadoop")
        assert local_path("/a") is None
        assert local_path("file:/a") == Path("/a")


def test_printable() -> None:
    """Bytes that are not UTF-8 are replaced."""
    assert printable(Path("/a/\udcffé")) == "/a/\ufffdé"
