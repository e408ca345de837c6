"""Stop a job by means of a file, for jobs that signals do not reach (spark-submit)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from pyarrow import ArrowException, fs

from tidemill.spark.filesystem import locate

if TYPE_CHECKING:
    from typing import Self

POLL_INTERVAL_S = 2.0

log = structlog.get_logger(__name__)


class StopMarker:
    """The file `<checkpoint location>.stop`, on any file system that pyarrow supports."""

    def __init__(self, filesystem: fs.FileSystem, path: str) -> None:
        """Take a file system and the marker's path in it."""
        self._filesystem = filesystem
        self.path = path
        self._next_poll = float("-inf")
        self._failed = False

    @classmethod
    def for_checkpoint(cls, location: str) -> Self:
        """Return the marker of a checkpoint location: a path or a URI.

        Raises:
            CheckpointUnsupported: pyarrow does not support the file system.

        """
        filesystem, path = locate(location)
        return cls(filesystem, f"{path}.stop")

    def create(self) -> None:
        """Ask the job to stop."""
        self._filesystem.create_dir(str(Path(self.path).parent), recursive=True)
        with self._filesystem.open_output_stream(self.path):
            pass

    def exists(self) -> bool:
        """Return whether the marker exists."""
        return bool(self._filesystem.get_file_info(self.path).type == fs.FileType.File)

    def consume(self) -> bool:
        """Return whether the marker exists, and remove it; check at most once in two seconds.

        If the file system does not answer, log a warning once and return False.
        """
        if time.monotonic() < self._next_poll:
            return False
        self._next_poll = time.monotonic() + POLL_INTERVAL_S
        try:
            exists = self.exists()
            if exists:
                self._filesystem.delete_file(self.path)
        except (OSError, ArrowException) as error:
            if not self._failed:
                log.warning("cannot check for a stop marker", path=self.path, error=str(error))
            self._failed = True
            return False
        self._failed = False
        return exists

    def remove(self) -> None:
        """Remove the marker, if it exists."""
        if self.exists():
            self._filesystem.delete_file(self.path)
