from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.errors import CheckpointUnsupported
from app.streaming.marker import StopMarker

if TYPE_CHECKING:
    from pathlib import Path


class TestRoundTrip:
    """One leaves the marker, the job takes it."""

    def test_left_and_taken(self, tmp_path: Path) -> None:
        """Both see the same file, beside the checkpoint and never in it."""
        location = str(tmp_path / "checkpoints")
        asker, job = StopMarker.beside(location), StopMarker.beside(location)
        assert not job.is_there()
        asker.leave()
        assert job.is_there()
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoints.stop"]
        job.take()
        assert not asker.is_there()

    def test_twice(self, tmp_path: Path) -> None:
        """Leaving or taking it again changes nothing."""
        marker = StopMarker.beside(str(tmp_path / "c"))
        marker.take()
        marker.leave()
        marker.leave()
        marker.take()
        marker.take()
        assert not marker.is_there()

    def test_no_folder_yet(self, tmp_path: Path) -> None:
        """The folder is made where the job never ran."""
        marker = StopMarker.beside(str(tmp_path / "a" / "b" / "c"))
        assert not marker.is_there()
        marker.leave()
        assert (tmp_path / "a" / "b" / "c.stop").is_file()


class TestBeside:
    """A checkpoint location is a path or a URI."""

    @pytest.mark.parametrize("name", ["c", "c/", "with space", "ü#%20?"])
    def test_path(self, tmp_path: Path, name: str) -> None:
        """Any name of a folder will do."""
        marker = StopMarker.beside(f"{tmp_path}/{name}")
        marker.leave()
        assert (tmp_path / f"{name.rstrip('/')}.stop").is_file()

    def test_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative path starts at the working folder."""
        monkeypatch.chdir(tmp_path)
        StopMarker.beside("a/c").leave()
        assert (tmp_path / "a" / "c.stop").is_file()

    @pytest.mark.parametrize("scheme", ["file://", "file:"])
    def test_file_uri(self, tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file's URI is its path, written as Java writes it (file:/x) too."""
        monkeypatch.chdir(tmp_path)
        assert StopMarker.beside(f"{scheme}{tmp_path}/c").path == f"{tmp_path}/c.stop"

    @pytest.mark.parametrize("location", ["nosuch://host/c", "dbfs:///c", "dbfs:/c"])
    def test_unsupported(
        self, location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file system that is not reached is named, not taken for a local folder."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(CheckpointUnsupported, match=location):
            StopMarker.beside(location)
