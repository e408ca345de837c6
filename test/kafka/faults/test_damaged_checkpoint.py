"""A checkpoint that is not as Spark left it is refused by name, or costs nothing."""

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
    """Leave nothing of a file."""
    file.write_bytes(b"")


def half(file: Path) -> None:
    """Cut a file off."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def bit(file: Path, at: int = -1) -> None:
    """Turn a bit of a file's last byte, which closes its JSON."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def digit(file: Path) -> None:
    """Turn a bit of a file's last digit: another number, as good as the right one."""
    content = file.read_bytes()
    bit(file, max(at for at, byte in enumerate(content) if chr(byte).isdigit()))


def missing(file: Path) -> None:
    """Remove a file."""
    file.unlink()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that has ended after two micro-batches, and a copy of its checkpoint."""

    pipeline: Pipeline
    copy: Path
    messages: Iterator[dict[str, Any]]
    answer: Callable[..., TidemillError | None]

    @property
    def checkpoint(self) -> Path:
        """Where a start looks for the checkpoint."""
        return self.pipeline.folder / "checkpoint"

    def restore(self, *, sums: bool = True) -> Path:
        """Put the copy in the checkpoint's place, with Hadoop's checksums or without."""
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        left_out = None if sums else shutil.ignore_patterns("*.crc")
        shutil.copytree(self.copy, self.checkpoint, ignore=left_out)
        return self.checkpoint

    def start(self) -> TidemillError | None:
        """Send messages and start; return what a start was refused with."""
        self.pipeline.produce(*islice(self.messages, 10))
        return self.answer(self.pipeline)


@pytest.fixture(scope="module")
def prepared(
    broker: Broker,
    start: Callable[..., TidemillError | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Prepared:
    """A job after two micro-batches; each test goes on from the copy of its checkpoint."""
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
    """Where checksums lie beside the files, a start compares them.

    `test/unit/streaming/checkpoint/test_checksum_matrix.py` damages every file in every way.
    """

    @pytest.mark.parametrize(
        ("name", "damage", "said"),
        [
            ("metadata", empty, "does not match its checksum"),
            ("offsets/1", digit, "does not match its checksum"),
            ("commits/1", missing, "is missing"),
            ("sources/0/0", half, "does not match its checksum"),
        ],
    )
    def test_refused(
        self, prepared: Prepared, name: str, damage: Callable[[Path], None], said: str
    ) -> None:
        """A file that is not as it was written is refused, whatever Spark would make of it."""
        damage(prepared.restore() / name)
        error = prepared.start()
        assert type(error) is CheckpointDamaged
        assert f"{name} {said}" in str(error)

    @pytest.mark.parametrize("damage", [empty, missing])
    def test_no_checksums(
        self, prepared: Prepared, delivery: str, damage: Callable[[Path], None]
    ) -> None:
        """Checksums that are gone, as a loss of power may leave them, cost nothing."""
        for sums in prepared.restore().rglob("*.crc"):
            damage(sums)
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)


class TestSpark:
    """Elsewhere Spark's own reading tells, and its words are recognised."""

    @pytest.mark.parametrize(
        "damage", [half, pytest.param(empty, marks=SLOW), pytest.param(bit, marks=SLOW)]
    )
    @pytest.mark.parametrize("name", ["metadata", "offsets/1", "commits/1"])
    def test_content(self, prepared: Prepared, name: str, damage: Callable[[Path], None]) -> None:
        """What Spark cannot read is refused by name."""
        damage(prepared.restore(sums=False) / name)
        error = prepared.start()
        assert type(error) is CheckpointDamaged, error

    @pytest.mark.parametrize("name", ["metadata", "offsets/0", "offsets/1"])
    def test_missing(self, prepared: Prepared, name: str) -> None:
        """What Spark misses is refused by name."""
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
        """What is of no use any more may be damaged."""
        folder = prepared.restore(sums=False)
        for name in ("commits/0", "sources/0/0"):
            damage(folder / name)
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)

    def test_last_commit(self, prepared: Prepared, delivery: str) -> None:
        """A micro-batch whose commit is gone is done again: with exactly-once nobody sees it."""
        missing(prepared.restore(sums=False) / "commits" / "1")
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)

    @scenario.EXACTLY_ONCE
    @pytest.mark.parametrize("by", [1, -1])
    def test_offset(self, prepared: Prepared, delivery: str, by: int) -> None:
        """Another offset is found out, or made up for, by the group's: with exactly-once only."""
        folder = prepared.restore(sums=False)
        assert prepared.start() is None  # the group is where the checkpoint is
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
    """What the error says to do works."""

    def test_copy(self, prepared: Prepared, delivery: str) -> None:
        """A whole copy goes on, if an old one."""
        prepared.restore()
        assert prepared.start() is None
        scenario.check(prepared.pipeline, delivery)

    def test_new_checkpoint(self, prepared: Prepared, delivery: str, tmp_path: Path) -> None:
        """A new checkpoint goes on too: at the group's offsets, or from the start."""
        moved = replace(prepared, pipeline=replace(prepared.pipeline, folder=tmp_path))
        assert moved.start() is None
        scenario.check(moved.pipeline, delivery)
