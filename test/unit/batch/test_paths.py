from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.batch.paths import absolute, local_path, printable


class TestLocalPath:
    """Paths on this machine are read and written without a URI."""

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
        """A path on another file system has a scheme."""
        assert local_path(given) is None


@pytest.mark.parametrize("given", ["", "/a/b", "file:/a/b", "s3://a/b"])
def test_absolute(given: str, tmp_path: Path) -> None:
    """A process with another working folder finds a location."""
    assert absolute(given) == given
    assert absolute("a/b:c/") == str(tmp_path / "a" / "b:c")


def test_printable() -> None:
    """Bytes that are not UTF-8 are replaced."""
    assert printable(Path("/a/\udcffé")) == "/a/\ufffdé"
