"""Notice that files have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Watched:
    """Some files, and how they were when they were last read."""

    def __init__(self, *paths: Path) -> None:
        """Take the files."""
        self._paths = paths
        self._seen = self._look()

    def have_changed(self) -> bool:
        """Tell whether a file has changed, come or gone since the last call.

        This also notices links that lead to other files, as Kubernetes replaces mounted secrets.
        """
        last, self._seen = self._seen, self._look()
        return self._seen != last

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_state(path) for path in self._paths]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
