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
    """`tidemill stop` creates the marker, the job removes it."""

    def test_created_and_removed(self, tmp_path: Path) -> None:
        """Both see the same file, beside the checkpoint and not in it."""
        location = str(tmp_path / "checkpoints")
        asker, job = StopMarker.for_checkpoint(location), StopMarker.for_checkpoint(location)
        assert not job.exists()
        asker.create()
        assert job.exists()
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoints.stop"]
        job.remove()
        assert not asker.exists()

    def test_twice(self, tmp_path: Path) -> None:
        """Creating or removing it again changes nothing."""
        marker = StopMarker.for_checkpoint(str(tmp_path / "c"))
        marker.remove()
        marker.create()
        marker.create()
        marker.remove()
        marker.remove()
        assert not marker.exists()

    def test_no_folder_yet(self, tmp_path: Path) -> None:
        """If the job never ran, the folder is created."""
        marker = StopMarker.for_checkpoint(str(tmp_path / "a" / "b" / "c"))
        assert not marker.exists()
        marker.create()
        assert (tmp_path / "a" / "b" / "c.stop").is_file()


class TestForCheckpoint:
    """A checkpoint location is a path or a URI."""

    @pytest.mark.parametrize("name", ["c", "c/", "with space", "ü#%20?"])
    def test_path(self, tmp_path: Path, name: str) -> None:
        """Any folder name works."""
        marker = StopMarker.for_checkpoint(f"{tmp_path}/{name}")
        marker.create()
        assert (tmp_path / f"{name.rstrip('/')}.stop").is_file()

    def test_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative path is relative to the working directory."""
        monkeypatch.chdir(tmp_path)
        StopMarker.for_checkpoint("a/c").create()
        assert (tmp_path / "a" / "c.stop").is_file()

    @pytest.mark.parametrize("scheme", ["file://", "file:"])
    def test_file_uri(self, tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file URI stands for its path, also in Java's form (file:/x)."""
        monkeypatch.chdir(tmp_path)
        assert StopMarker.for_checkpoint(f"{scheme}{tmp_path}/c").path == f"{tmp_path}/c.stop"

    @pytest.mark.parametrize("location", ["nosuch://host/c", "dbfs:///c", "dbfs:/c"])
    def test_unsupported(
        self, location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An unsupported file system is named in the error, and not treated as a local folder."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(CheckpointUnsupported, match=location):
            StopMarker.for_checkpoint(location)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that markers use."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """Capture the marker's log lines."""
    capturing = CapturingLogger()
    monkeypatch.setattr(module, "log", capturing)
    return capturing


class TestConsume:
    """The job checks for the marker periodically, and removes it."""

    def test_once(self, tmp_path: Path, clock: Clock) -> None:
        """A marker that was created once is reported once."""
        marker = StopMarker.for_checkpoint(str(tmp_path / "c"))
        assert not marker.consume()
        marker.create()
        clock.now += 2
        assert marker.consume()
        assert not marker.exists()
        clock.now += 2
        assert not marker.consume()

    def test_first_check(self, tmp_path: Path, clock: Clock) -> None:
        """The first check is immediate, whatever the clock's value."""
        clock.now = 0.0
        marker = StopMarker.for_checkpoint(str(tmp_path / "c"))
        marker.create()
        assert marker.consume()

    def test_not_too_often(self, tmp_path: Path, clock: Clock) -> None:
        """There is at most one check in two seconds."""
        marker = StopMarker.for_checkpoint(str(tmp_path / "c"))
        marker.consume()
        marker.create()
        clock.now += 1.99
        assert not marker.consume()
        assert marker.exists()
        clock.now += 0.01
        assert marker.consume()


class Files:
    """A file system with a marker that can fail."""

    def __init__(self) -> None:
        self.checks = 0
        self.marker_exists = False
        self.error: OSError | None = None
        self.created_after: int | None = None

    def get_file_info(self, path: str) -> fs.FileInfo:
        """Return whether the marker exists; create it right after a certain check."""
        self.checks += 1
        if self.error:
            raise self.error
        kind = fs.FileType.File if self.marker_exists else fs.FileType.NotFound
        if self.checks == self.created_after:
            self.marker_exists = True
        return fs.FileInfo(path, kind)

    def delete_file(self, _: str) -> None:
        """Remove the marker."""
        self.marker_exists = False


class TestFailingFileSystem:
    """A file system that fails does not stop the job."""

    def test_logged_once(self, clock: Clock, log: CapturingLogger) -> None:
        """Each outage is one line, however long it lasts."""
        files: Any = Files()
        marker = StopMarker(files, "c.stop")
        for error in (OSError("busy"), OSError("busy"), None, OSError("busy again")):
            files.error = error
            assert marker.consume() is False
            clock.now += 2
        assert [call.method_name for call in log.calls] == ["warning"] * 2
        assert log.calls[0].kwargs == {"path": "c.stop", "error": "busy"}

    def test_recovers(self, clock: Clock, log: CapturingLogger) -> None:
        """A marker that was created meanwhile is detected."""
        files: Any = Files()
        files.marker_exists, files.error = True, OSError("busy")
        marker = StopMarker(files, "c.stop")
        assert not marker.consume()
        files.error = None
        clock.now += 2
        assert marker.consume()
        assert not files.marker_exists

    def test_not_too_often(self, clock: Clock, log: CapturingLogger) -> None:
        """A failing file system is not checked more often."""
        files: Any = Files()
        files.error = OSError("busy")
        marker = StopMarker(files, "c.stop")
        for _ in range(10):
            marker.consume()
        assert files.checks == 1


class TestRace:
    """The marker may be created at any moment."""

    def test_created_during_a_check(self, clock: Clock) -> None:
        """A marker created right after a check is not lost: the next check detects it."""
        files: Any = Files()
        files.created_after = 1
        marker = StopMarker(files, "c.stop")
        assert not marker.consume()
        assert files.marker_exists
        clock.now += 2
        assert marker.consume()
