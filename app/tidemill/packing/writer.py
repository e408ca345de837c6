"""Write an artifact, all of it or nothing; what did not change is shared with another one."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from tidemill.errors import DuplicateKey, OutputExists, OutputUnusable, UnknownModelKey
from tidemill.packing.artifact import Place
from tidemill.packing.manifest import (
    FORMAT,
    MANIFEST,
    VERSION,
    File,
    Index,
    Manifest,
    Part,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidemill.packing.artifact import Artifact

# A part is copied, without what is no longer used, if less than this share of it is used.
LEAST_USED = 0.5


class Packed(NamedTuple):
    """A model that is ready to be written."""

    key: str
    kind: str
    template: bytes  # JSON
    item: bytes


def write(
    folder: Path,
    models: Iterable[Packed],
    *,
    base: Artifact | None = None,
    remove: Iterable[str] = (),
    replace: bool = False,
) -> None:
    """Write an artifact with some models, and with those of another one except for some.

    Files of parts that did not change are hard links. If the process is killed, a folder with a
    temporary name is left over, and nothing else.

    Raises:
        OutputExists: The folder exists.
        OutputUnusable: It cannot be written.
        DuplicateKey: Two models have the same key; with `replace`, one of them may be in `base`.
        UnknownModelKey: A key to remove does not exist.

    """
    kept = {} if base is None else dict(zip(base, map(Place, *base.all_places()), strict=True))
    for key in remove:
        if kept.pop(key, None) is None:
            raise UnknownModelKey(key)
    added: dict[tuple[str, bytes], dict[str, bytes]] = {}
    seen: set[str] = set()
    for key, kind, template, item in models:
        if key in seen or (key in kept and not replace):
            raise DuplicateKey(key)
        seen.add(key)
        kept.pop(key, None)
        added.setdefault((kind, template), {})[key] = item
    with _new_folder(folder) as new:
        _Writing(new, base, kept).finish(added)


class _Writing:
    """An artifact that is being written."""

    def __init__(self, folder: Path, base: Artifact | None, kept: dict[str, Place]) -> None:
        self._folder, self._base, self._kept = folder, base, kept
        self._templates: dict[tuple[str, bytes], int] = {}
        self._parts: list[Part] = []
        self._places: dict[str, Place] = {}

    def finish(self, added: dict[tuple[str, bytes], dict[str, bytes]]) -> None:
        """Write everything; the manifest comes last."""
        if self._base is not None:
            self._share(self._base, added)
        for (kind, template), items in added.items():
            self._write_part(kind, template, items)
        keys = sorted((key.encode(), place) for key, place in self._places.items())
        numbers = np.array([place for _, place in keys], np.int64).reshape(-1, 2).T
        ends = np.cumsum([len(key) for key, _ in keys], dtype=np.int64)
        index = self._write(ends, numbers, *(key for key, _ in keys))
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            digest="",
            index=Index(index, len(keys)),
            templates=tuple(Template(kind, msgspec.Raw(c)) for kind, c in self._templates),
            parts=tuple(self._parts),
        )
        _write_file(self._folder / MANIFEST, msgspec.json.encode(manifest.sealed()))

    def _share(self, base: Artifact, added: dict[tuple[str, bytes], dict[str, bytes]]) -> None:
        """Link the parts of another artifact, or add those of their items that are still used."""
        used: dict[int, list[str]] = {}
        for key, place in self._kept.items():
            used.setdefault(place.part, []).append(key)
        for number, keys in sorted(used.items()):
            part = base.manifest.parts[number]
            template = base.manifest.templates[part.template]
            own = template.kind, bytes(template.content)
            if len(keys) < LEAST_USED * part.items:
                items = {key: bytes(base.item(self._kept[key])) for key in keys}
                added[own] = added.get(own, {}) | items
                continue
            name = f"{part.file.digest}.bin"
            if not (self._folder / name).exists():
                _link(base.folder / name, self._folder / name)
            for key in keys:
                self._places[key] = Place(len(self._parts), self._kept[key].item)
            self._parts.append(msgspec.structs.replace(part, template=self._template(*own)))

    def _write_part(self, kind: str, template: bytes, items: dict[str, bytes]) -> None:
        sizes = np.array([len(item) for item in items.values()], np.int64)
        size = int(sizes[0]) if (sizes == sizes[0]).all() else 0
        file = self._write(*(() if size else (np.cumsum(sizes),)), *items.values())
        for number, key in enumerate(items):
            self._places[key] = Place(len(self._parts), number)
        self._parts.append(Part(file, self._template(kind, template), len(items), size))

    def _template(self, kind: str, template: bytes) -> int:
        return self._templates.setdefault((kind, template), len(self._templates))

    def _write(self, *content: bytes | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> File:
        """Write a file, which is named by its digest."""
        whole = b"".join(each if isinstance(each, bytes) else each.tobytes() for each in content)
        file = File(hashlib.sha256(whole).hexdigest(), len(whole))
        path = self._folder / f"{file.digest}.bin"
        # A file of this name has this content, and may be a link to one that others read.
        if not path.exists():
            _write_file(path, whole)
        return file


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder, which gets its name if the context ends well."""
    if folder.exists():
        raise OutputExists(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise OutputUnusable(folder, error.strerror or error) from None
    try:
        yield new
        new.chmod(0o777 & ~_umask())
        _sync(new)
        new.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        if folder.exists():
            raise OutputExists(folder) from None  # another process was quicker
        raise OutputUnusable(folder, error.strerror or error) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _umask() -> int:
    """Return the process's mask for new files, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        _write_file(target, source.read_bytes())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
