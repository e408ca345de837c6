from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from clock import Clock
from pyarrow import fs
from structlog.testing import CapturingLogger

from tidemill.errors import CheckpointUnsupported
from tidemill.streaming.checkpoint import stop_marker as module
from tidemill.streaming.checkpoint.stop_marker import StopMarker

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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that markers look at."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """Return what takes the marker's log lines."""
    capturing = CapturingLogger()
    monkeypatch.setattr(module, "log", capturing)
    return capturing


class TestWasLeft:
    """The job looks for the marker now and then, and takes it."""

    def test_taken(self, tmp_path: Path, clock: Clock) -> None:
        """It was left once, which is told once."""
        marker = StopMarker.beside(str(tmp_path / "c"))
        assert not marker.was_left()
        marker.leave()
        clock.now += 2
        assert marker.was_left()
        assert not marker.is_there()
        clock.now += 2
        assert not marker.was_left()

    def test_first_look(self, tmp_path: Path, clock: Clock) -> None:
        """The first look is at once, however young the clock is."""
        clock.now = 0.0
        marker = StopMarker.beside(str(tmp_path / "c"))
        marker.leave()
        assert marker.was_left()

    def test_not_too_often(self, tmp_path: Path, clock: Clock) -> None:
        """Within two seconds it is not looked for again."""
        marker = StopMarker.beside(str(tmp_path / "c"))
        marker.was_left()
        marker.leave()
        clock.now += 1.99
        assert not marker.was_left()
        assert marker.is_there()
        clock.now += 0.01
        assert marker.was_left()


class Files:
    """A file system that holds the marker, or does not answer."""

    def __init__(self) -> None:
        self.looks = 0
        self.there = False
        self.error: OSError | None = None
        self.left_after: int | None = None

    def get_file_info(self, path: str) -> fs.FileInfo:
        """Tell whether it is there; it may be left right after a look."""
        self.looks += 1
        if self.error:
            raise self.error
        kind = fs.FileType.File if self.there else fs.FileType.NotFound
        if self.looks == self.left_after:
            self.there = True
        return fs.FileInfo(path, kind)

    def delete_file(self, _: str) -> None:
        """Remove it."""
        self.there = False


class TestSilentFileSystem:
    """A file system that does not answer asks for nothing."""

    def test_logged_once(self, clock: Clock, log: CapturingLogger) -> None:
        """It is one line however long it lasts, and one more the next time."""
        files: Any = Files()
        marker = StopMarker(files, "c.stop")
        for error in (OSError("busy"), OSError("busy"), None, OSError("busy again")):
            files.error = error
            assert marker.was_left() is False
            clock.now += 2
        assert [call.method_name for call in log.calls] == ["warning"] * 2
        assert log.calls[0].kwargs == {"path": "c.stop", "error": "busy"}

    def test_answers_again(self, clock: Clock, log: CapturingLogger) -> None:
        """What was left meanwhile is found."""
        files: Any = Files()
        files.there, files.error = True, OSError("busy")
        marker = StopMarker(files, "c.stop")
        assert not marker.was_left()
        files.error = None
        clock.now += 2
        assert marker.was_left()
        assert not files.there

    def test_not_too_often(self, clock: Clock, log: CapturingLogger) -> None:
        """It is not asked more often for its silence."""
        files: Any = Files()
        files.error = OSError("busy")
        marker = StopMarker(files, "c.stop")
        for _ in range(10):
            marker.was_left()
        assert files.looks == 1


class TestRace:
    """The marker may be left at any moment."""

    def test_left_during_a_look(self, clock: Clock) -> None:
        """One that is left right after the look is not taken unseen: the next look finds it."""
        files: Any = Files()
        files.left_after = 1
        marker = StopMarker(files, "c.stop")
        assert not marker.was_left()
        assert files.there
        clock.now += 2
        assert marker.was_left()
