"""Spark's offset log: where the next micro-batch starts, and where it ends if it is planned."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyarrow import fs

from tidemill.errors import CheckpointDamaged
from tidemill.spark.filesystem import locate, replace
from tidemill.streaming.checkpoint.checksums import newest

if TYPE_CHECKING:
    from tidemill.streaming.progress import Offsets

# Where Spark keeps what its first micro-batch starts at (`KafkaSourceInitialOffsetWriter`).
INITIAL = "sources/0/0"


@dataclass(frozen=True, slots=True)
class OffsetLog:
    """What a checkpoint says of the next micro-batch, in offsets by topic and partition.

    Attributes:
        batch: The newest micro-batch that is finished; -1: none.
        start: Where the next one starts, which is where the newest finished one ended.
        planned: Where it ends, if Spark has planned it; it will run as planned. Otherwise `start`.
        start_file: The file that holds `start`; None: Spark has planned nothing yet.
        planned_file: The file that holds `planned`.

    """

    batch: int = -1
    start: Offsets = field(default_factory=dict)
    planned: Offsets = field(default_factory=dict)
    start_file: str | None = None
    planned_file: str | None = None

    @property
    def is_used(self) -> bool:
        """Return whether a query has begun on this checkpoint."""
        return self.planned_file is not None


def read(location: str) -> OffsetLog:
    """Read the newest entries of a checkpoint; one that is not there yet has none.

    Raises:
        CheckpointDamaged: An entry is missing, or is not as Spark writes it.
        CheckpointUnsupported, OSError, ArrowException: The checkpoint cannot be reached.

    """
    filesystem, path = locate(location)
    tree = fs.FileSelector(path, recursive=True, allow_not_found=True)
    names = {info.path.removeprefix(f"{path}/") for info in filesystem.get_file_info(tree)}
    planned, finished = newest(names, "offsets"), newest(names, "commits")
    if planned < 0:
        return OffsetLog()
    if finished >= planned:
        start_file = f"offsets/{planned}"
    else:
        finished = planned - 1
        start_file = f"offsets/{finished}" if planned else INITIAL

    def offsets(name: str) -> Offsets:
        try:
            with filesystem.open_input_stream(f"{path}/{name}") as stream:
                return parse(stream.read())
        except FileNotFoundError:
            raise CheckpointDamaged(location, f"{name} is missing") from None
        except (ValueError, TypeError, AttributeError):
            raise CheckpointDamaged(location, f"{name} is not as Spark writes it") from None

    files = start_file, f"offsets/{planned}"
    return OffsetLog(finished, offsets(files[0]), offsets(files[1]), *files)


def parse(entry: bytes) -> Offsets:
    """Return the offsets of an entry, whose last line holds them as JSON.

    The lines before it are a version and, in the offset log, one about the micro-batch
    (`OffsetSeqLog` of Spark). A dash stands for a source that has planned nothing yet.

    Raises:
        ValueError, TypeError, AttributeError: It is no such entry.

    """
    head, _, offsets = entry.decode().rpartition("\n")
    if not head.lstrip("\0").startswith("v"):
        raise ValueError("it has no version")
    return {
        (topic, int(partition)): int(offset)
        for topic, partitions in (json.loads(offsets) if offsets != "-" else {}).items()
        for partition, offset in partitions.items()
    }


def rewrite(location: str, log: OffsetLog, start: Offsets, planned: Offsets) -> None:
    """Replace the offsets of the next micro-batch.

    The planned ones are written first. A crash in between leaves a start with partitions that the
    plan lacks, as before: the next start of the job repeats this.

    Raises:
        CheckpointUnsupported, OSError, ArrowException: The checkpoint cannot be written.

    """
    filesystem, path = locate(location)
    # One file, if nothing is planned.
    files = {log.planned_file: (log.planned, planned), log.start_file: (log.start, start)}
    for name, (before, after) in files.items():
        if before != after:
            _replace(filesystem, f"{path}/{name}", after)


def _replace(filesystem: fs.FileSystem, file: str, offsets: Offsets) -> None:
    with filesystem.open_input_stream(file) as stream:
        head = stream.read().rpartition(b"\n")[0]
    folder, _, name = file.rpartition("/")
    # Hadoop's and Spark's checksums. A file without any is not checked.
    for sums in (f"{folder}/.{name}.crc", f"{file}.crc"):
        if filesystem.get_file_info(sums).type == fs.FileType.File:
            filesystem.delete_file(sums)
    replace(filesystem, file, head + b"\n" + as_json(offsets).encode())


def as_json(offsets: Offsets) -> str:
    """Return offsets as Spark's Kafka source reads them: {"topic": {"0": 42}}."""
    topics: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in offsets.items():
        topics.setdefault(topic, {})[str(partition)] = offset
    return json.dumps(topics)
