"""An object store: no folder needs to exist, and a process may lose it at some write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dying_disk import DyingDisk

if TYPE_CHECKING:
    import pyarrow as pa


class ObjectStore(DyingDisk):
    """A folder of this machine, in which a file may have any path."""

    def move(self, src: str, dest: str) -> None:
        """Rename an object."""
        Path(dest).parent.mkdir(parents=True, exist_ok=True)
        super().move(src, dest)

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:  # noqa: ANN401
        """Open an object for writing."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return super().open_output_stream(path, metadata)
