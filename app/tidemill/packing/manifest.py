"""Define and read the manifest of an artifact."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from tidemill.errors import ArtifactDamaged, ArtifactTooNew, ArtifactUnreadable

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "manifest.json"
FORMAT, VERSION = "tidemill-pack", 1
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]


class File(msgspec.Struct, frozen=True):
    """A file that is named by the SHA-256 digest of its content, and its size in bytes."""

    digest: Digest
    bytes: Count


class Template(msgspec.Struct, frozen=True):
    """What some models have in common: their kind, and whatever the kind defines."""

    kind: str
    content: msgspec.Raw


class Part(msgspec.Struct, frozen=True):
    """A file with an item of bytes for each of some models, which have one template.

    If all items have `item_bytes` bytes, they follow each other. If it is 0, the file begins with
    the end of each item as an int64, counted from the first item.
    """

    file: File
    template: Count
    items: Count
    item_bytes: Count


class Index(msgspec.Struct, frozen=True):
    """A file with the keys, in the order of their UTF-8 bytes.

    There are three arrays of int64, with a number for each key: where the key ends in the last
    array, its part, and its item in the part. Then follow the bytes of the keys.
    """

    file: File
    keys: Count


class Manifest(msgspec.Struct, frozen=True):
    """What an artifact consists of; `digest` is that of all other fields."""

    format: str
    version: int
    digest: str
    index: Index
    templates: tuple[Template, ...]
    parts: tuple[Part, ...]

    def sealed(self) -> Manifest:
        """Return the manifest with its digest."""
        content = msgspec.json.encode(msgspec.structs.replace(self, digest=""))
        return msgspec.structs.replace(self, digest=hashlib.sha256(content).hexdigest())


def read(folder: Path) -> Manifest:
    """Return the manifest of an artifact.

    Raises:
        ArtifactUnreadable: There is none.
        ArtifactTooNew: A later release wrote it.
        ArtifactDamaged: It was changed.

    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ArtifactUnreadable(folder, error.strerror or error) from None
    try:
        version = msgspec.json.decode(content, type=dict[str, Any]).get("version")
        if isinstance(version, int) and version > VERSION:
            raise ArtifactTooNew(folder, version, VERSION)
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactDamaged(folder, MANIFEST, error) from None
    sound = all(part.template < len(manifest.templates) for part in manifest.parts)
    if manifest.format != FORMAT or manifest.sealed() != manifest or not sound:
        raise ArtifactDamaged(folder, MANIFEST, "its digest is wrong")
    return manifest
