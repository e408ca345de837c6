"""A damaged checkpoint is refused with a named error, unless the damage is harmless."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from faults import scenario
from tidemill.errors import CheckpointDamaged, GroupBehindCheckpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.kafka.broker import Broker
    from dev.pipeline.pipeline import Pipeline
    from tidemill.errors import TidemillError


def empty(file: Path) -> None:
    """Empty a file."""
    file.write_bytes(b"")


def half(file: Path) -> None:
    """Truncate a file to half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def bit(file: Path, index: int = -1) -> None:
    """Flip a bit of a file's last byte, which ends its JSON."""
    content = bytearray(file.read_bytes())
    content[index] ^= 1
    file.write_bytes(content)


def digit(file: Path) -> None:
    """Flip a bit of a file's last digit, which gives another valid number."""
    content = file.read_bytes()
    bit(file, max(index for index, byte in enumerate(content) if chr(byte).isdigit()))


def missing(file: Path) -> None:
    """Remove a file."""
    file.unlink()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that ended after two micro-batches, and a copy of its checkpoint."""

    pipeline: Pipeline
    copy: Path
    messages: Iterator[dict[str, Any]]
    run: Callable[..., TidemillError | None]

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the pipeline."""
        return self.pipeline.folder / "checkpoint"

    def restore(self, *, sums: bool = True) -> Path:
        """Replace the checkpoint by the copy, with or without Hadoop's checksums."""
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        ignore = None if sums else shutil.ignore_patterns("*.crc")
        shutil.copytree(self.copy, self.checkpoint, ignore=ignore)
        return self.checkpoint

    def start(self) -> TidemillError | None:
        """Send messages and start the job; return its error."""
        self.pipeline.produce(*islice(self.messages, 10))
        return self.run(self.pipeline)


@pytest.fixture(scope="module")
def prepared(
    broker: Broker,
    start: Callable[..., TidemillError | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Prepared:
    """A job after two micro-batches; each test starts from the copy of its checkpoint."""
    folder = tmp_path_factory.mktemp("damaged")
    job = Prepared(
        scenario.make_pipeline(broker, folder), folder / "copy", scenario.messages(), start
    )
    for _ in range(2):
        assert job.start() is None
    shutil.copytree(job.checkpoint, job.copy)
    return job


SLOW = pytest.mark.slow


class TestChecksums:
    """A start verifies the checksums beside the files.

    `test/unit/streaming/checkpoint/test_checksum_matrix.py` covers every file and damage.
    """

    @pytest.mark.parametrize(
        ("name", "damage", "problem"),
        [
            ("metadata", empty, "does not match its checksum"),
            ("offsets/1", digit, "does not match its checksum"),
            ("commits/1", missing, "is missing"),
            ("sources/0/0", half, "does not match its checksum"),
        ],
    )
    def test_refused(
        self, prepared: Prepared, name: str, damage: Callable[[Path], None], problem: str
    ) -> None:
        """A changed file is refused, even if Spark could read it."""
        damage(prepared.restore() / name)
        error = prepared.start()
        assert type(error) is CheckpointDamaged
        assert f"{name} {problem}" in str(error)

    @pytest.mark.parametrize("damage", [empty, missing])
    def test_no_checksums(
        self, prepared: Prepared, delivery: str, damage: Callable[[Path], None]
    ) -> None:
        """Missing or empty checksum files, as after a power failure, are harmless."""
        for sums in prepared.restore().rglob("*.crc"):
            damage(sums)
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)


class TestSpark:
    """Without checksums Spark detects the damage, and its error is recognised."""

    @pytest.mark.parametrize(
        "damage", [half, pytest.param(empty, marks=SLOW), pytest.param(bit, marks=SLOW)]
    )
    @pytest.mark.parametrize("name", ["metadata", "offsets/1", "commits/1"])
    def test_content(self, prepared: Prepared, name: str, damage: Callable[[Path], None]) -> None:
        """A file that Spark cannot read is refused with a named error."""
        damage(prepared.restore(sums=False) / name)
        error = prepared.start()
        assert type(error) is CheckpointDamaged, error

    @pytest.mark.parametrize("name", ["metadata", "offsets/0", "offsets/1"])
    def test_missing(self, prepared: Prepared, name: str) -> None:
        """A file that Spark misses is refused with a named error."""
        missing(prepared.restore(sums=False) / name)
        error = prepared.start()
        assert type(error) is CheckpointDamaged, error

    @pytest.mark.parametrize(
        "damage",
        [
            missing,
            pytest.param(empty, marks=SLOW),
            pytest.param(half, marks=SLOW),
            pytest.param(bit, marks=SLOW),
        ],
    )
    def test_old_files(
        self, prepared: Prepared, delivery: str, damage: Callable[[Path], None]
    ) -> None:
        """Damage in files that are no longer used is harmless."""
        folder = prepared.restore(sums=False)
        for name in ("commits/0", "sources/0/0"):
            damage(folder / name)
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)

    def test_last_commit(self, prepared: Prepared, delivery: str) -> None:
        """A micro-batch without its commit is repeated; with exactly-once nobody notices."""
        missing(prepared.restore(sums=False) / "commits" / "1")
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)

    @scenario.EXACTLY_ONCE
    @pytest.mark.parametrize("by", [1, -1])
    def test_offset(self, prepared: Prepared, delivery: str, by: int) -> None:
        """With exactly-once the group's offset reveals or corrects a wrong offset."""
        folder = prepared.restore(sums=False)
        assert prepared.start() is None  # the group and the checkpoint agree
        newest = max((folder / "offsets").glob("[0-9]*"), key=lambda file: int(file.name))
        newest.with_name(f".{newest.name}.crc").unlink()
        *lines, offsets = newest.read_text().splitlines()
        moved = {
            topic: {partition: offset + by for partition, offset in partitions.items()}
            for topic, partitions in json.loads(offsets).items()
        }
        newest.write_text("\n".join([*lines, json.dumps(moved)]))
        error = prepared.start()
        assert type(error) is (GroupBehindCheckpoint if by > 0 else type(None)), error
        prepared.restore()
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)


class TestAdvice:
    """The remedies in the error message work."""

    def test_copy(self, prepared: Prepared, delivery: str) -> None:
        """An intact copy works, even an old one."""
        prepared.restore()
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)

    def test_new_checkpoint(self, prepared: Prepared, delivery: str, tmp_path: Path) -> None:
        """A new checkpoint works: it starts at the group's offsets, or from the beginning."""
        moved = replace(prepared, pipeline=replace(prepared.pipeline, folder=tmp_path))
        assert moved.start() is None
        scenario.check(moved.pipeline, delivery)
