from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tidemill.errors import CheckpointDamaged, CheckpointUnsupported
from tidemill.streaming.checkpoint import checksums, offset_log
from tidemill.streaming.checkpoint.offset_log import OffsetLog, as_json, parse, rewrite

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = b'v1\n{"batchWatermarkMs":0,"conf":{}}\n{"in":{"0":4,"1":2}}'


def entry(offsets: object) -> bytes:
    """Return an entry of the offset log."""
    return b'v1\n{"batchWatermarkMs":0}\n' + json.dumps(offsets).encode()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint whose micro-batches 0 to 10 are finished, and 11 is planned."""
    for log in ("commits", "offsets", "sources/0"):
        (tmp_path / log).mkdir(parents=True)
    (tmp_path / "sources" / "0" / "0").write_bytes(b'\0v1\n{"in":{"0":3}}')
    for batch in range(12):
        (tmp_path / "offsets" / str(batch)).write_bytes(entry({"in": {"0": batch * 10}}))
        (tmp_path / "offsets" / f".{batch}.crc").write_bytes(b"crc\0of another content")
    for batch in range(11):
        (tmp_path / "commits" / str(batch)).write_text('v1\n{"nextBatchWatermarkMs":0}')
    (tmp_path / "commits" / ".12.3f9c.tmp").write_text("")
    return tmp_path


def remove(checkpoint: Path, folder: str, first: int) -> None:
    """Remove the entries of a log from a number on."""
    for file in (checkpoint / folder).iterdir():
        if file.name.isdecimal() and int(file.name) >= first:
            file.unlink()


class TestRead:
    """The log says where the next micro-batch starts, and where it ends if it is planned."""

    def test_planned(self, checkpoint: Path) -> None:
        """A planned micro-batch starts where the finished one before it ended."""
        log = offset_log.read(str(checkpoint))
        assert (log.batch, log.start, log.planned) == (10, {("in", 0): 100}, {("in", 0): 110})
        assert log.is_used

    def test_finished(self, checkpoint: Path) -> None:
        """If the newest one is finished, nothing is planned."""
        remove(checkpoint, "offsets", 11)
        log = offset_log.read(str(checkpoint))
        assert (log.batch, log.start, log.planned) == (10, {("in", 0): 100}, {("in", 0): 100})

    def test_first(self, checkpoint: Path) -> None:
        """The first micro-batch starts at the offsets that Spark recorded for the query."""
        remove(checkpoint, "offsets", 1)
        remove(checkpoint, "commits", 0)
        log = offset_log.read(str(checkpoint))
        assert (log.batch, log.start, log.planned) == (-1, {("in", 0): 3}, {("in", 0): 0})

    def test_uri(self, checkpoint: Path) -> None:
        """The location may be a URI."""
        assert offset_log.read(f"file://{checkpoint}/").batch == 10

    def test_new(self, tmp_path: Path) -> None:
        """A checkpoint that does not exist, or has planned nothing, is not used."""
        assert offset_log.read(str(tmp_path / "new")) == OffsetLog()
        (tmp_path / "commits").mkdir()
        assert not offset_log.read(str(tmp_path)).is_used

    @pytest.mark.parametrize(
        "content",
        [b"", b"{}", b"v1", b"v1\n{}\n12", b"v1\n{}\n[1]", b"v1\n{}\n{", b"\xff", b"v1\n"],
    )
    def test_unknown_format(self, checkpoint: Path, content: bytes) -> None:
        """An entry in another format is reported as damage."""
        (checkpoint / "offsets" / "10").write_bytes(content)
        with pytest.raises(CheckpointDamaged, match="offsets/10"):
            offset_log.read(str(checkpoint))

    def test_missing(self, checkpoint: Path) -> None:
        """So is a missing entry that the next micro-batch starts from."""
        (checkpoint / "offsets" / "10").unlink()
        with pytest.raises(CheckpointDamaged, match="offsets/10 is missing"):
            offset_log.read(str(checkpoint))

    def test_unknown_file_system(self) -> None:
        """An unsupported file system is not treated as a missing checkpoint."""
        with pytest.raises(CheckpointUnsupported):
            offset_log.read("dbfs:/c")


class TestRewrite:
    """Only the offsets of the next micro-batch change."""

    def test_planned(self, checkpoint: Path) -> None:
        """Its start and its end are replaced, and their checksums are deleted."""
        log = offset_log.read(str(checkpoint))
        start, planned = {("b", 1): 7}, {("b", 1): 9, ("in", 0): 100}
        rewrite(str(checkpoint), log, start, planned)
        after = offset_log.read(str(checkpoint))
        assert (after.batch, after.start, after.planned) == (10, start, planned)
        head = b'v1\n{"batchWatermarkMs":0}\n'
        assert (checkpoint / "offsets" / "10").read_bytes() == head + b'{"b": {"1": 7}}'
        left = {file.name for file in (checkpoint / "offsets").glob("*.crc")}
        assert left == {f".{batch}.crc" for batch in range(10)}
        assert not list(checkpoint.rglob("*.new"))

    def test_finished(self, checkpoint: Path) -> None:
        """If nothing is planned, start and end are the same file."""
        remove(checkpoint, "offsets", 11)
        log = offset_log.read(str(checkpoint))
        rewrite(str(checkpoint), log, {}, {})
        after = offset_log.read(str(checkpoint))
        assert (after.batch, after.start, after.planned) == (10, {}, {})

    def test_first(self, checkpoint: Path) -> None:
        """Spark's file of the first offsets begins with a zero byte, which is kept."""
        remove(checkpoint, "offsets", 1)
        remove(checkpoint, "commits", 0)
        log = offset_log.read(str(checkpoint))
        rewrite(str(checkpoint), log, {("b", 0): 1}, log.planned)
        assert (checkpoint / "sources" / "0" / "0").read_bytes() == b'\0v1\n{"b": {"0": 1}}'
        assert offset_log.read(str(checkpoint)).start == {("b", 0): 1}

    def test_nothing_to_do(self, checkpoint: Path) -> None:
        """Unchanged offsets are not written."""
        log = offset_log.read(str(checkpoint))
        before = {file: file.stat().st_mtime_ns for file in checkpoint.rglob("*")}
        rewrite(str(checkpoint), log, dict(log.start), dict(log.planned))
        assert {file: file.stat().st_mtime_ns for file in checkpoint.rglob("*")} == before

    def test_checked(self, checkpoint: Path) -> None:
        """The next start accepts the rewritten files."""
        for sums in checkpoint.rglob("*.crc"):
            sums.unlink()
        log = offset_log.read(str(checkpoint))
        rewrite(str(checkpoint), log, {}, {})
        checksums.check(str(checkpoint))


class TestParse:
    """An entry of Spark's offset log."""

    def test_offsets(self) -> None:
        """The last line contains the offsets by topic and partition."""
        assert parse(ENTRY) == {("in", 0): 4, ("in", 1): 2}

    def test_none_yet(self) -> None:
        """A dash stands for a source that has planned nothing."""
        assert parse(b"v1\n{}\n-") == {}

    def test_round_trip(self) -> None:
        """Parsing returns the formatted offsets."""
        offsets = {("in", 0): 4, ("in", 12): 2, ("b", 0): 2**40}
        assert parse(b"v1\n{}\n" + as_json(offsets).encode()) == offsets
