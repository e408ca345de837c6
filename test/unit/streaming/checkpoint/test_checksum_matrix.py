"""The checksums detect every kind of damage in every file of a checkpoint."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import pytest

from tidemill.errors import CheckpointDamaged
from tidemill.streaming.checkpoint import checksums

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 512  # of Hadoop's `ChecksumFs`
BATCH = '{"batchWatermarkMs":0,"batchTimestampMs":1764355447000,"conf":{}}'
LONG = json.dumps({"batchWatermarkMs": 0, "conf": {f"spark.sql.{n}": "0" for n in range(40)}})
OFFSETS = '{"in":{"0":4,"1":2}}'
COMMIT = 'v1\n{"nextBatchWatermarkMs":0}'
# Files in the format of Spark 4.2; the first offsets are longer than a block.
FILES = {
    "metadata": '{"id":"0a0f2c9c-6f67-4a3f-9d0c-5b1f0e1d2c3b"}',
    "offsets/0": f"v1\n{LONG}\n{OFFSETS}",
    "offsets/1": f"v1\n{BATCH}\n{OFFSETS}",
    "commits/0": COMMIT,
    "commits/1": COMMIT,
    "sources/0/0": f"v1\n{OFFSETS}",
}


def checksum_file(content: bytes) -> bytes:
    """Return the content of Hadoop's checksum file."""
    blocks = (content[at : at + BLOCK] for at in range(0, len(content), BLOCK))
    crcs = b"".join(zlib.crc32(block).to_bytes(4, "big") for block in blocks)
    return b"crc\0" + BLOCK.to_bytes(4, "big") + crcs


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint after two micro-batches, on a local file system."""
    for name, content in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.with_name(f".{file.name}.crc").write_bytes(checksum_file(content.encode()))
    checksums.check(str(tmp_path))
    return tmp_path


def flip_bit(content: bytes, at: int) -> bytes:
    """Return the content with one bit flipped."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def last_digit(content: bytes) -> int:
    """Return the index of the last digit; with a flipped bit it is another valid number."""
    return max(at for at, byte in enumerate(content) if chr(byte).isdigit())


def refusal(checkpoint: Path) -> str:
    """Return the message of the error."""
    with pytest.raises(CheckpointDamaged) as caught:
        checksums.check(str(checkpoint))
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
class TestDamaged:
    """Any change in any file is detected."""

    @pytest.mark.parametrize("share", [0, 0.5, 0.99])
    def test_cut_off(self, checkpoint: Path, name: str, share: float) -> None:
        """A truncated or empty file is refused."""
        content = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(content[: int(share * len(content))])
        assert f"{name} does not match its checksum" in refusal(checkpoint)

    def test_every_bit(self, checkpoint: Path, name: str) -> None:
        """A file with one flipped bit is refused, wherever the bit is."""
        content = (checkpoint / name).read_bytes()
        for at in {0, last_digit(content), len(content) - 1, *range(0, len(content), 16)}:
            (checkpoint / name).write_bytes(flip_bit(content, at))
            assert f"{name} does not match its checksum" in refusal(checkpoint)

    def test_wrong_checksums(self, checkpoint: Path, name: str) -> None:
        """Wrong checksums refuse their file, although it may be intact."""
        beside = (checkpoint / name).with_name(f".{(checkpoint / name).name}.crc")
        beside.write_bytes(flip_bit(beside.read_bytes(), 8))  # in the first block's checksum
        assert f"{name} does not match its checksum" in refusal(checkpoint)
