from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyarrow import fs
from structlog.testing import capture_logs

from tidemill.errors import CheckpointDamaged
from tidemill.streaming.checkpoint import checksums

if TYPE_CHECKING:
    from pathlib import Path

# An entry of the commit log and its checksum, as written by Spark 4.2.
ENTRY = b'v1\n{"nextBatchWatermarkMs":0}'
SUMS = bytes.fromhex("63726300 00000200 f32abfdd")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint after two micro-batches; all files have the content of a commit."""
    for name in ("metadata", "offsets/0", "offsets/1", "commits/0", "commits/1", "sources/0/0"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ENTRY)
        checksum_file(file).write_bytes(SUMS)
    return tmp_path


def checksum_file(file: Path) -> Path:
    """Return the path of Hadoop's checksum file."""
    return file.with_name(f".{file.name}.crc")


def damage(checkpoint: Path) -> str | None:
    """Return the damage of a checkpoint."""
    return checksums.find_damage(fs.LocalFileSystem(), str(checkpoint))


def refused(checkpoint: Path) -> str:
    """Return the message of the error."""
    with pytest.raises(CheckpointDamaged) as raised:
        checksums.check(str(checkpoint))
    return str(raised.value)


class TestIntact:
    """An intact checkpoint passes."""

    def test_complete(self, checkpoint: Path) -> None:
        """Every file matches its checksum."""
        assert damage(checkpoint) is None

    def test_none(self, tmp_path: Path) -> None:
        """A checkpoint that does not exist yet is not damaged."""
        assert damage(tmp_path / "new") is None

    def test_batch_in_progress(self, checkpoint: Path) -> None:
        """A micro-batch that a crash interrupted has offsets and no commit."""
        (checkpoint / "commits" / "1").unlink()
        checksum_file(checkpoint / "commits" / "1").unlink()
        assert damage(checkpoint) is None

    def test_killed_while_writing(self, checkpoint: Path) -> None:
        """Files that a crash left incomplete or without a checksum do not count."""
        for name in (".2.a1b2.tmp", "..2.a1b2.tmp.crc"):
            (checkpoint / "offsets" / name).write_bytes(ENTRY[:5])
        (checkpoint / "offsets" / "2").write_bytes(ENTRY)
        assert damage(checkpoint) is None

    def test_killed_while_removing(self, checkpoint: Path) -> None:
        """A crash may leave only the checksum file of an old entry."""
        (checkpoint / "offsets" / "0").unlink()
        assert damage(checkpoint) is None

    def test_other_file_systems(self, checkpoint: Path) -> None:
        """Elsewhere no checksums lie beside the files."""
        for sums in checkpoint.rglob("*.crc"):
            sums.unlink()
        (checkpoint / "commits" / "1").write_bytes(b"")
        assert damage(checkpoint) is None

    def test_unknown_file_system(self) -> None:
        """A file system that only Spark supports is not checked, and causes a warning."""
        with capture_logs() as logs:
            checksums.check("abfss://container@account/checkpoints")
        assert [(entry["log_level"], "unchecked" in entry["event"]) for entry in logs] == [
            ("warning", True)
        ]


class TestTorn:
    """A file that cannot be checked causes a warning, and hides no other damage."""

    @pytest.mark.parametrize(
        "sums",
        [b"", b"crc", b"\0" * 12, SUMS[:4], SUMS[:8], SUMS[:9], SUMS[:11], b"crc\0" + bytes(8)],
    )
    @pytest.mark.parametrize("name", ["metadata", "commits/1", "offsets/1"])
    def test_sums(self, checkpoint: Path, name: str, sums: bytes) -> None:
        """Torn checksums prove nothing about their file; damage in other files is detected."""
        checksum_file(checkpoint / name).write_bytes(sums)
        with capture_logs() as logs:
            assert damage(checkpoint) is None
        assert [(entry["log_level"], entry["file"]) for entry in logs] == [("warning", name)]
        (checkpoint / "offsets" / "0").write_bytes(ENTRY[:-1] + b"|")
        assert damage(checkpoint) == "offsets/0 does not match its checksum"

    @pytest.mark.parametrize("broken", ["commits/1", "commits/.1.crc"])
    def test_unreadable(self, checkpoint: Path, broken: str) -> None:
        """A file or a checksum file that cannot be read has the same effect."""
        (checkpoint / "offsets" / "0").write_bytes(ENTRY[:-1] + b"|")
        assert checksums.find_damage(Refusing(broken), str(checkpoint)) == (
            "offsets/0 does not match its checksum"
        )
        checksum_file(checkpoint / "offsets" / "0").unlink()
        with capture_logs() as logs:
            assert checksums.find_damage(Refusing(broken), str(checkpoint)) is None
        assert [(entry["log_level"], entry["file"]) for entry in logs] == [("warning", "commits/1")]


class Refusing:
    """A local file system with an error in one file, as on a bad disk."""

    def __init__(self, name: str) -> None:
        self._local = fs.LocalFileSystem()
        self._name = name

    def get_file_info(self, tree: fs.FileSelector) -> list[fs.FileInfo]:
        """List the files."""
        return list(self._local.get_file_info(tree))

    def open_input_stream(self, path: str) -> fs.NativeFile:
        """Open any other file."""
        if path.endswith(f"/{self._name}"):
            raise OSError(5, "Input/output error")
        return self._local.open_input_stream(path)


class TestDamaged:
    """A damaged checkpoint is refused, and the error names the file."""

    @pytest.mark.parametrize("name", ["metadata", "offsets/1", "commits/0", "sources/0/0"])
    @pytest.mark.parametrize(
        "content",
        [b"", ENTRY[:7], ENTRY[:-1] + b"|", ENTRY + b"\n"],
        ids=["empty", "half", "a bit", "more"],
    )
    def test_content(self, checkpoint: Path, name: str, content: bytes) -> None:
        """Any change in any file is detected."""
        (checkpoint / name).write_bytes(content)
        assert f"{name} does not match its checksum" in refused(checkpoint)

    @pytest.mark.parametrize("size", [512, 513, 2000])
    def test_blocks(self, checkpoint: Path, size: int) -> None:
        """A missing block in the checksum file is damage."""
        (checkpoint / "offsets" / "1").write_bytes(ENTRY * (size // len(ENTRY) + 1))
        assert "offsets/1 does not match" in refused(checkpoint)

    @pytest.mark.parametrize("name", ["metadata", "offsets/1", "commits/1", "sources/0/0"])
    def test_missing(self, checkpoint: Path, name: str) -> None:
        """A file with a checksum file must exist."""
        (checkpoint / name).unlink()
        assert f"{name} is missing" in refused(checkpoint)

    def test_commit_without_offsets(self, checkpoint: Path) -> None:
        """A committed micro-batch must have offsets, on any file system."""
        for sums in checkpoint.rglob("*.crc"):
            sums.unlink()
        (checkpoint / "offsets" / "1").unlink()
        assert "offsets/1 is missing" in refused(checkpoint)

    def test_advice(self, checkpoint: Path) -> None:
        """The error names the checkpoint and the remedy."""
        (checkpoint / "metadata").unlink()
        assert str(checkpoint) in refused(checkpoint)
        with pytest.raises(CheckpointDamaged) as raised:
            checksums.check(str(checkpoint))
        assert "stream.checkpoint_location" in raised.value.hint
