from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tidemill.errors import CheckpointUnsupported
from tidemill.spark import filesystem
from tidemill.streaming.checkpoint import checksums, offset_log, topic_record
from tidemill.streaming.checkpoint.topic_record import FILE, TopicRecord

if TYPE_CHECKING:
    from pathlib import Path


class TestRecord:
    """The record of the input topics outlives the job."""

    def test_round_trip(self, tmp_path: Path) -> None:
        """Reading returns the last written record."""
        for record in (
            TopicRecord({"a": "1"}, frozenset({"a"})),
            TopicRecord({"a": "1", "b": "2"}, frozenset({"b"})),
            TopicRecord({"a": "1", "b": "2"}, frozenset(), {("b", 0): 7, ("b", 12): 2**40}),
            TopicRecord(),
        ):
            topic_record.write(str(tmp_path), record)
            assert topic_record.read(str(tmp_path)) == record

    def test_none(self, tmp_path: Path) -> None:
        """A new checkpoint has an empty record, without a warning."""
        with capture_logs() as logs:
            assert topic_record.read(str(tmp_path / "new")) == TopicRecord()
            assert topic_record.read("dbfs:/c") == TopicRecord()
        assert logs == []

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"topics": {"a": {}}}', b"\xff"])
    def test_torn(self, tmp_path: Path, content: bytes) -> None:
        """A torn record counts as empty and does not prevent a start."""
        (tmp_path / FILE).write_bytes(content)
        with capture_logs() as logs:
            assert topic_record.read(str(tmp_path)) == TopicRecord()
        assert [(entry["log_level"], entry["file"]) for entry in logs] == [("warning", FILE)]

    def test_unreadable(self, tmp_path: Path) -> None:
        """An unreadable record does not count as empty, so that it is not overwritten."""
        (tmp_path / FILE).mkdir()
        with capture_logs() as logs:
            assert topic_record.read(str(tmp_path)) is None
        assert [(entry["log_level"], entry["file"]) for entry in logs] == [("warning", FILE)]

    def test_not_writable(self) -> None:
        """A record that cannot be written raises an error."""
        with pytest.raises(CheckpointUnsupported):
            topic_record.write("dbfs:/c", TopicRecord())

    def test_beside_spark(self, tmp_path: Path) -> None:
        """The file is not mistaken for an entry of Spark's logs."""
        topic_record.write(str(tmp_path), TopicRecord({"a": "1"}))
        assert not offset_log.read(str(tmp_path)).is_used
        checksums.check(str(tmp_path))


class TestObjectStore:
    """Object stores have no atomic rename."""

    def test_no_rename(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """There the file is written in its place: it is seen when it is complete."""
        monkeypatch.setattr(filesystem, "ATOMIC_RENAME", ())
        record = TopicRecord({"a": "1"})
        topic_record.write(str(tmp_path), record)
        assert topic_record.read(str(tmp_path)) == record
        assert [file.name for file in tmp_path.iterdir()] == [FILE]
