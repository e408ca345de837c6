"""Read an artifact: a folder with a manifest, an index of keys, and parts that hold the models."""

from __future__ import annotations

import hashlib
import mmap
from bisect import bisect_left
from functools import cached_property
from operator import lt
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from tidemill.errors import ArtifactDamaged
from tidemill.packing.manifest import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidemill.packing.arrays import Ints
    from tidemill.packing.manifest import File, Manifest, Part, Template


class Place(NamedTuple):
    """Where a model stands: its part, and its item there."""

    part: int
    item: int


class Artifact:
    """An artifact that is open: its files are mapped into memory, and read when they are needed."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Map the files.

        Raises:
            ArtifactDamaged: A file is missing, or has another size than the manifest says.

        """
        self.folder, self.manifest = folder, manifest
        self._index = _map(folder, manifest.index.file, "the index")
        count = manifest.index.keys
        if len(self._index) < 3 * 8 * count:
            raise ArtifactDamaged(folder, "the index", "it is too short for its keys")
        numbers = np.frombuffer(self._index, np.int64, 3 * count).reshape(3, count)
        self._ends, self._parts, self._items = numbers
        self._first = 3 * 8 * count
        self.parts = [
            _map(folder, part.file, f"part {number} of {len(manifest.parts)}")
            for number, part in enumerate(manifest.parts, start=1)
        ]

    @classmethod
    def open(cls, folder: Path | str, *, verify: bool = True) -> Self:
        """Open an artifact; with `verify`, read all of it and compare the digests.

        Raises:
            ArtifactUnreadable: There is no artifact.
            ArtifactTooNew: A later release wrote it.
            ArtifactDamaged: Something in it was changed, or is missing.

        """
        artifact = cls(Path(folder), read(Path(folder)))
        if verify:
            artifact.verify()
        return artifact

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[str]:
        return (self._key(number).decode() for number in range(len(self)))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {key: number for number, key in enumerate(self)}

    def places(self, keys: Iterable[str]) -> list[Place | None]:
        """Return where the models of some keys stand; None for unknown keys."""
        keys = [*keys]
        # A dictionary of all keys pays off if many are looked up at once, or if it is there.
        if "_numbers" in self.__dict__ or 16 * len(keys) > len(self):
            numbers = [self._numbers.get(key) for key in keys]
        else:
            numbers = [self._search(key.encode(errors="surrogatepass")) for key in keys]
        return [
            None if number is None else Place(int(self._parts[number]), int(self._items[number]))
            for number in numbers
        ]

    def item(self, place: Place) -> memoryview:
        """Return the bytes of a model."""
        part, content = self.manifest.parts[place.part], memoryview(self.parts[place.part])
        if part.item_bytes:
            return content[place.item * part.item_bytes :][: part.item_bytes]
        ends = np.frombuffer(content, np.int64, part.items)
        start = int(ends[place.item - 1]) if place.item else 0
        return content[8 * part.items :][start : int(ends[place.item])]

    def template(self, place: Place) -> Template:
        """Return the template of a model."""
        return self.manifest.templates[self.manifest.parts[place.part].template]

    def all_places(self) -> tuple[Ints, Ints]:
        """Return the part and the item of each key, in the order of the keys."""
        return self._parts, self._items

    def verify(self) -> None:
        """Read everything.

        Raises:
            ArtifactDamaged: Something was changed; the error names the part.

        """
        self._compare(self.manifest.index.file, self._index, "the index")
        pairs = zip(self.manifest.parts, self.parts, strict=True)
        for number, (part, content) in enumerate(pairs, start=1):
            name = f"part {number} of {len(self.parts)}"
            self._compare(part.file, content, name)
            if not _is_filled(part, content):
                raise ArtifactDamaged(self.folder, name, "its items do not fill it")
        counts = np.array([part.items for part in self.manifest.parts] or [0])
        if not (
            _ascend_to(self._ends, len(self._index) - self._first)
            and ((self._parts >= 0) & (self._parts < len(self.parts))).all()
            and ((self._items >= 0) & (self._items < counts[self._parts])).all()
        ):
            raise ArtifactDamaged(self.folder, "the index", "it names parts that do not exist")
        try:
            keys = [*self]
        except UnicodeDecodeError as error:
            raise ArtifactDamaged(self.folder, "the index", error) from None
        # The order of code points is that of UTF-8.
        if not all(map(lt, keys, keys[1:])):
            raise ArtifactDamaged(self.folder, "the index", "its keys are not in order")

    def _compare(self, file: File, content: mmap.mmap | bytes, name: str) -> None:
        if hashlib.sha256(content).hexdigest() != file.digest:
            raise ArtifactDamaged(self.folder, name, "its digest is wrong")

    def _key(self, number: int) -> bytes:
        start = int(self._ends[number - 1]) if number else 0
        return self._index[self._first + start : self._first + int(self._ends[number])]

    def _search(self, key: bytes) -> int | None:
        number = bisect_left(range(len(self)), key, key=self._key)
        return number if number < len(self) and self._key(number) == key else None


def _is_filled(part: Part, content: mmap.mmap | bytes) -> bool:
    """Tell whether the items of a part fill its file."""
    if part.item_bytes:
        return part.items * part.item_bytes == len(content)
    if 8 * part.items > len(content):
        return False
    return _ascend_to(np.frombuffer(content, np.int64, part.items), len(content) - 8 * part.items)


def _ascend_to(ends: Ints, last: int) -> bool:
    """Tell whether numbers begin at 0 or later, never fall, and end at the last one."""
    every = np.concatenate([[0], ends])
    return bool((every[1:] >= every[:-1]).all() and every[-1] == last)


def _map(folder: Path, file: File, name: str) -> mmap.mmap | bytes:
    try:
        with (folder / f"{file.digest}.bin").open("rb") as opened:
            size = opened.seek(0, 2)
            if size != file.bytes:
                raise ArtifactDamaged(folder, name, f"it has {size} bytes, not {file.bytes}")
            # An empty file cannot be mapped.
            return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise ArtifactDamaged(folder, name, error.strerror or error) from None
