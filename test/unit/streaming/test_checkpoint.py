from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.monitoring.progress import Progress
from app.streaming.checkpoint import finished, read_offsets

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = 'v1\n{"batchWatermarkMs":0,"conf":{}}\n{"in":{"0":4,"1":2}}'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint whose micro-batches 0 to 10 are finished, and 11 is not."""
    for log in ("commits", "offsets"):
        (tmp_path / log).mkdir()
    for batch in range(12):
        offsets = f'v1\n{{}}\n{{"in":{{"0":{batch * 10}}}}}'
        (tmp_path / "offsets" / str(batch)).write_text(offsets)
    for batch in range(11):
        (tmp_path / "commits" / str(batch)).write_text('v1\n{"nextBatchWatermarkMs":0}')
        (tmp_path / "commits" / f".{batch}.crc").write_bytes(b"crc")
    (tmp_path / "commits" / ".12.3f9c.tmp").write_text("")
    return tmp_path


class TestFinished:
    """What the checkpoint says is done."""

    def test_newest(self, checkpoint: Path) -> None:
        """The newest micro-batch of the commit log counts, not one that was only begun."""
        assert finished(str(checkpoint)) == Progress(10, offsets={("in", 0): 100})

    def test_as_a_uri(self, checkpoint: Path) -> None:
        """Wherever it lies."""
        assert finished(f"file://{checkpoint}/") == Progress(10, offsets={("in", 0): 100})

    def test_none_yet(self, tmp_path: Path) -> None:
        """A new checkpoint has none."""
        assert finished(str(tmp_path / "new")) is None
        (tmp_path / "commits").mkdir()
        assert finished(str(tmp_path)) is None

    @pytest.mark.parametrize("content", ["", "v1\n{}\n12", "v1\n{}\n[1]", "v1\n{}\n{", "\xff"])
    def test_not_understood(self, checkpoint: Path, content: str) -> None:
        """What is not as expected is not guessed: the job does not depend on it."""
        (checkpoint / "offsets" / "10").write_text(content, "latin-1")
        found = finished(str(checkpoint))
        assert found is None or found.offsets == {}

    def test_unknown_file_system(self) -> None:
        """Where pyarrow knows no such file system, nothing is known."""
        assert finished("dbfs:/c") is None


class TestReadOffsets:
    """An entry of Spark's offset log."""

    def test_one_source(self) -> None:
        """A line holds the next offsets of its topics."""
        assert read_offsets(ENTRY) == {("in", 0): 4, ("in", 1): 2}

    def test_sources(self) -> None:
        """There is a line for each source; one that had nothing yet has a dash."""
        assert read_offsets(f'{ENTRY}\n-\n{{"b":{{"3":7}}}}') == {
            ("in", 0): 4,
            ("in", 1): 2,
            ("b", 3): 7,
        }
