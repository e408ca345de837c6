"""An artifact is written whole or not at all, and is not read if anything in it was changed."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill.errors import (
    ArtifactDamaged,
    ArtifactTooNew,
    ArtifactUnreadable,
    DuplicateKey,
    OutputExists,
    OutputUnusable,
    UnknownModelKey,
)
from tidemill.packing.artifact import Artifact
from tidemill.packing.manifest import MANIFEST, File, Index, read
from tidemill.packing.writer import Packed, write

if TYPE_CHECKING:
    from pathlib import Path

KEYS = st.text(min_size=1, max_size=20).filter(lambda key: key.isprintable())
ITEMS = st.dictionaries(
    KEYS, st.tuples(st.sampled_from(["a", "b"]), st.binary(max_size=40)), max_size=30
)

MODELS = {f"key {number}": ("ab"[number % 2], bytes([number])) for number in range(40)}


def packed(items: dict[str, tuple[str, bytes]]) -> list[Packed]:
    """Return models as bytes, of two templates."""
    return [
        Packed(key, f"kind-{name}", msgspec.json.encode({"name": name}), item)
        for key, (name, item) in items.items()
    ]


def content(artifact: Artifact) -> dict[str, tuple[str, bytes]]:
    """Return everything in an artifact."""
    found = {}
    for key, place in zip(artifact, artifact.places(artifact), strict=True):
        assert place is not None
        template = artifact.template(place)
        name = msgspec.json.decode(template.content)["name"]
        assert template.kind == f"kind-{name}"
        found[key] = name, bytes(artifact.item(place))
    return found


def files(folder: Path) -> dict[str, int]:
    """Return the inode of each file."""
    return {path.name: path.stat().st_ino for path in folder.iterdir()}


@given(first=ITEMS, second=ITEMS, data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(
    first: dict[str, tuple[str, bytes]],
    second: dict[str, tuple[str, bytes]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What was written is read; models that are added and removed change nothing else."""
    folder = tmp_path_factory.mktemp("artifacts")
    write(folder / "one", packed(first))
    one = Artifact.open(folder / "one")
    assert content(one) == first
    assert len(one) == len(first)
    removed = data.draw(st.lists(st.sampled_from([*first]), unique=True)) if first else []
    left = {key: item for key, item in first.items() if key not in removed}
    write(folder / "two", packed(second), base=one, remove=removed, replace=True)
    two = Artifact.open(folder / "two")
    assert content(two) == left | second
    for key in [*first, *second, "unknown \U0001f600"]:
        (place,) = Artifact.open(folder / "two").places([key])
        assert (place is not None) == (key in left | second)
    assert content(one) == first


class TestSharing:
    """A new artifact has the files that did not change."""

    def test_added(self, tmp_path: Path) -> None:
        """A model that is added does not copy the others."""
        write(tmp_path / "one", packed(MODELS))
        added = packed({"new": ("a", b"new")})
        write(tmp_path / "two", added, base=Artifact.open(tmp_path / "one"))
        one, two = files(tmp_path / "one"), files(tmp_path / "two")
        assert len(one.items() & two.items()) == 2
        assert len(two) == 5

    def test_same_content(self, tmp_path: Path) -> None:
        """A new part with the content of an old one does not touch a file that others read."""
        write(tmp_path / "one", packed({"a": ("a", b"same")}))
        before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "one").iterdir()}
        added = packed({"b": ("a", b"same"), "c": ("b", b"same")})
        write(tmp_path / "two", added, base=Artifact.open(tmp_path / "one"))
        after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "one").iterdir()}
        assert before == after
        same = {"a": ("a", b"same"), "b": ("a", b"same"), "c": ("b", b"same")}
        assert content(Artifact.open(tmp_path / "two")) == same

    def test_unused(self, tmp_path: Path) -> None:
        """If most of a part is no longer used, the rest is copied."""
        write(tmp_path / "one", packed(MODELS))
        gone = [key for key, (name, _) in MODELS.items() if name == "a"][3:]
        write(tmp_path / "two", [], base=Artifact.open(tmp_path / "one"), remove=gone)
        two = Artifact.open(tmp_path / "two")
        assert len(files(tmp_path / "one").items() & files(tmp_path / "two").items()) == 1
        assert content(two) == {k: v for k, v in MODELS.items() if k not in gone}

    def test_keys(self, tmp_path: Path) -> None:
        """A key that is there already, twice, or not at all is an error."""
        write(tmp_path / "one", packed(MODELS))
        base = Artifact.open(tmp_path / "one")
        with pytest.raises(DuplicateKey, match="two models with the key 'key 1'"):
            write(tmp_path / "two", packed({"key 1": ("a", b"")}), base=base)
        with pytest.raises(DuplicateKey):
            write(tmp_path / "two", packed({"x": ("a", b"")}) * 2)
        with pytest.raises(UnknownModelKey, match="no model with the key 'key 99'"):
            write(tmp_path / "two", [], base=base, remove=["key 99"])
        assert [each.name for each in tmp_path.iterdir()] == ["one"]


@given(data=st.data())
@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A changed, truncated or missing file is noticed, and the error names it."""
    folder = tmp_path_factory.mktemp("damaged") / "artifact"
    write(folder, packed(MODELS))
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    original = path.read_bytes()
    changed = bytearray(original)
    match data.draw(st.sampled_from(["flip", "cut", "remove"])):
        case "flip":
            changed[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
            path.write_bytes(changed)
        case "cut":
            path.write_bytes(original[: data.draw(st.integers(0, len(original) - 1))])
        case "remove":
            path.unlink()
    with pytest.raises((ArtifactDamaged, ArtifactTooNew, ArtifactUnreadable)) as error:
        Artifact.open(folder)
    named = str(error.value)
    assert "artifact is " in named or "artifact has version" in named


def test_parts_are_named(tmp_path: Path) -> None:
    """The error says which part was changed."""
    write(tmp_path / "one", packed(MODELS))
    artifact = Artifact.open(tmp_path / "one")
    path = tmp_path / "one" / f"{artifact.manifest.parts[1].file.digest}.bin"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(ArtifactDamaged, match="part 2 of 2: its digest is wrong"):
        Artifact.open(tmp_path / "one")


@pytest.mark.parametrize(
    "change", [{"items": 2**62}, {"item_bytes": 2**62}, {"item_bytes": 0}, {"item_bytes": 1}]
)
def test_wrong_sizes(change: dict[str, int], tmp_path: Path) -> None:
    """A manifest is refused if its numbers do not fit the files, though its digest is right."""
    write(tmp_path / "one", packed({"a": ("a", b"1234"), "b": ("a", b"5678")}))
    manifest = read(tmp_path / "one")
    parts = (msgspec.structs.replace(manifest.parts[0], **change),)
    forged = msgspec.structs.replace(manifest, parts=parts).sealed()
    (tmp_path / "one" / MANIFEST).write_bytes(msgspec.json.encode(forged))
    with pytest.raises(ArtifactDamaged, match="part 1 of 1: its items do not fill it"):
        Artifact.open(tmp_path / "one")


@pytest.mark.parametrize(
    ("keys", "problem"), [(b"ba", "not in order"), (b"aa", "not in order"), (b"\xff\xfe", "utf-8")]
)
def test_wrong_keys(keys: bytes, problem: str, tmp_path: Path) -> None:
    """Keys that are no text, or in no order, are refused: some could not be found."""
    write(tmp_path / "one", packed({"a": ("a", b"1"), "b": ("a", b"2")}))
    manifest = read(tmp_path / "one")
    index = np.array([[1, 2], [0, 0], [0, 1]], np.int64).tobytes() + keys
    file = File(hashlib.sha256(index).hexdigest(), len(index))
    (tmp_path / "one" / f"{file.digest}.bin").write_bytes(index)
    forged = msgspec.structs.replace(manifest, index=Index(file, 2)).sealed()
    (tmp_path / "one" / MANIFEST).write_bytes(msgspec.json.encode(forged))
    with pytest.raises(ArtifactDamaged, match=f"the index: .*{problem}"):
        Artifact.open(tmp_path / "one")


def test_newer(tmp_path: Path) -> None:
    """An artifact of a later release is refused, whatever else it has."""
    write(tmp_path / "one", packed(MODELS))
    (tmp_path / "one" / MANIFEST).write_text('{"format": "tidemill-pack", "version": 2, "x": {}}')
    with pytest.raises(ArtifactTooNew, match="has version 2 of the format; this release reads 1"):
        Artifact.open(tmp_path / "one")


def test_no_artifact(tmp_path: Path) -> None:
    """A folder without a manifest is no artifact."""
    with pytest.raises(ArtifactUnreadable, match="is no artifact of packed models"):
        Artifact.open(tmp_path)


def test_two_writers(tmp_path: Path) -> None:
    """Of two writers, the second one to finish fails, and changes nothing."""
    write(tmp_path / "one", packed({"a": ("a", b"1")}))
    later = iter(packed({"a": ("a", b"2")}))

    def models() -> list[Packed]:
        write(tmp_path / "two", packed({"a": ("a", b"1")}))
        return [*later]

    with pytest.raises(OutputExists):
        write(tmp_path / "two", (each for _ in range(1) for each in models()))
    assert content(Artifact.open(tmp_path / "two")) == {"a": ("a", b"1")}
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_full_disk(tmp_path: Path) -> None:
    """If a file cannot be written whole, there is no artifact, and nothing else is left."""
    program = f"""
import resource, signal
from pathlib import Path
from tidemill.errors import OutputUnusable
from tidemill.packing.writer import Packed, write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}))
try:
    write(Path({str(tmp_path)!r}) / "one", [Packed("a", "kind", b"{{}}", bytes(20_000))])
except OutputUnusable as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert "File too large" in done.stdout
    assert not [*tmp_path.iterdir()]


def test_forbidden(tmp_path: Path) -> None:
    """A folder that cannot be made is named in the error."""
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnusable, match="cannot write to"):
        write(tmp_path / "file" / "one", [])
