"""A file system that a process loses at some write, as if it were killed there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyarrow import fs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


class Killed(BaseException):
    """Stands for the end of the process."""


class DyingDisk(fs.FileSystemHandler):  # type: ignore[misc]
    """The local file system, until a number of changes were made; each then raises `Killed`.

    A file that is open for writing at that moment keeps the beginning of its content.
    """

    def __init__(self, changes: int) -> None:
        """Take the number of changes."""
        self.changes_left = changes
        self._real = fs.LocalFileSystem()

    def _change(self) -> None:
        self.changes_left -= 1
        if self.changes_left < 0:
            raise Killed

    def get_type_name(self) -> str:
        """Return its name."""
        return "dying"

    def normalize_path(self, path: str) -> str:
        """Return the path as it is."""
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[fs.FileInfo]:
        """Describe files."""
        found: list[fs.FileInfo] = self._real.get_file_info(paths)
        return found

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """Describe the files in a folder."""
        found: list[fs.FileInfo] = self._real.get_file_info(selector)
        return found

    def create_dir(self, path: str, recursive: bool) -> None:
        """Create a folder."""
        self._change()
        self._real.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        """Delete a folder."""
        self._change()
        self._real.delete_dir(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """Empty a folder."""
        raise NotImplementedError

    def delete_root_dir_contents(self) -> None:
        """Delete everything."""
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        """Delete a file."""
        self._change()
        self._real.delete_file(path)

    def move(self, src: str, dest: str) -> None:
        """Rename a file."""
        self._change()
        self._real.move(src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        """Copy a file."""
        raise NotImplementedError

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """Open a file for reading."""
        return self._real.open_input_stream(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a file for reading in any order."""
        return self._real.open_input_file(path)

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:  # noqa: ANN401
        """Open a file for writing."""
        file = self._real.open_output_stream(path, metadata=metadata)
        try:
            self._change()
        except Killed:
            file.write(b"the beginning")
            file.close()
            raise
        return file

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:  # noqa: ANN401
        """Open a file for more content."""
        raise NotImplementedError
