"""A file that asks the job to stop, where no signal reaches it (spark-submit)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import fs

from app.errors import CheckpointUnsupported

if TYPE_CHECKING:
    from typing import Self


class StopMarker:
    """The file `<checkpoint location>.stop`, on any file system that pyarrow reaches."""

    def __init__(self, filesystem: fs.FileSystem, path: str) -> None:
        """Take a file system and a path in it."""
        self._filesystem = filesystem
        self.path = path

    @classmethod
    def beside(cls, checkpoint_location: str) -> Self:
        """Return the marker of a checkpoint location: a path or a URI.

        Raises:
            CheckpointUnsupported: pyarrow knows no such file system.

        """
        uri = checkpoint_location.rstrip("/").replace("s3a://", "s3://", 1)
        uri = re.sub(r"^file:/(?!/)", "file:///", uri)  # Java's way to write it
        is_uri = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", uri)
        try:
            return cls(*fs.FileSystem.from_uri(f"{uri if is_uri else Path(uri).absolute()}.stop"))
        except (OSError, ValueError) as error:
            raise CheckpointUnsupported(checkpoint_location, error) from None

    def leave(self) -> None:
        """Ask the job to stop."""
        self._filesystem.create_dir(str(Path(self.path).parent), recursive=True)
        with self._filesystem.open_output_stream(self.path):
            pass

    def is_there(self) -> bool:
        """Tell whether somebody asks the job to stop."""
        return bool(self._filesystem.get_file_info(self.path).type == fs.FileType.File)

    def take(self) -> None:
        """Remove the marker, which tells the one who left it that the job has seen it."""
        if self.is_there():
            self._filesystem.delete_file(self.path)
