"""Read and rewrite Spark's offset log: the offsets of the next micro-batch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyarrow import fs

from tidemill.errors import CheckpointDamaged
from tidemill.spark.filesystem import locate, replace
from tidemill.streaming.checkpoint.checksums import newest_entry

if TYPE_CHECKING:
    from tidemill.streaming.progress import Offsets

# Spark's file for the first micro-batch's start offsets (`KafkaSourceInitialOffsetWriter`).
INITIAL = "sources/0/0"


@dataclass(frozen=True, slots=True)
class OffsetLog:
    """The next micro-batch according to a checkpoint, as offsets by topic and partition.

    Attributes:
        batch: The newest finished micro-batch; -1 if there is none.
        start: Where the next micro-batch starts, which is where the newest finished one ended.
        planned: Where it ends, if Spark has planned it; Spark keeps to its plan. Else `start`.
        start_file: The file that contains `start`; None if Spark has planned nothing yet.
        planned_file: The file that contains `planned`.

    """

    batch: int = -1
    start: Offsets = field(default_factory=dict)
    planned: Offsets = field(default_factory=dict)
    start_file: str | None = None
    planned_file: str | None = None

    @property
    def is_used(self) -> bool:
        """Return whether a query has used this checkpoint."""
        return self.planned_file is not None


def read(location: str) -> OffsetLog:
    """Read the newest entries of a checkpoint; a new checkpoint has none.

    Raises:
        CheckpointDamaged: An entry is missing, or is not in Spark's format.
        CheckpointUnsupported, OSError, ArrowException: The checkpoint cannot be read.

    """
    filesystem, path = locate(location)
    tree = fs.FileSelector(path, recursive=True, allow_not_found=True)
    names = {info.path.removeprefix(f"{path}/") for info in filesystem.get_file_info(tree)}
    planned, finished = newest_entry(names, "offsets"), newest_entry(names, "commits")
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
            raise CheckpointDamaged(location, f"{name} is not in Spark's format") from None

    files = start_file, f"offsets/{planned}"
    return OffsetLog(finished, offsets(files[0]), offsets(files[1]), *files)


def parse(entry: bytes) -> Offsets:
    """Parse an entry: its last line contains the offsets as JSON.

    The lines before it are a version and, in the offset log, the micro-batch's metadata (Spark's
    `OffsetSeqLog`). A dash stands for a source that has planned nothing yet.

    Raises:
        ValueError, TypeError, AttributeError: The entry has another format.

    """
    head, _, offsets = entry.decode().rpartition("\n")
    if not head.lstrip("\0").startswith("v"):
        raise ValueError("the entry has no version")
    return {
        (topic, int(partition)): int(offset)
        for topic, partitions in (json.loads(offsets) if offsets != "-" else {}).items()
        for partition, offset in partitions.items()
    }


def rewrite(location: str, log: OffsetLog, start: Offsets, planned: Offsets) -> None:
    """Replace the offsets of the next micro-batch.

    Write the planned end first. A crash in between leaves start offsets with partitions that the
    plan lacks, as before the call, so the next start of the job repeats it.

    Raises:
        CheckpointUnsupported, OSError, ArrowException: The checkpoint cannot be written.

    """
    filesystem, path = locate(location)
    # If nothing is planned, both are the same file.
    files = {log.planned_file: (log.planned, planned), log.start_file: (log.start, start)}
    for name, (before, after) in files.items():
        if before != after:
            _replace(filesystem, f"{path}/{name}", after)


def _replace(filesystem: fs.FileSystem, file: str, offsets: Offsets) -> None:
    with filesystem.open_input_stream(file) as stream:
        head = stream.read().rpartition(b"\n")[0]
    folder, _, name = file.rpartition("/")
    # Delete the checksums of Hadoop and Spark: a file without them is not checked.
    for checksum_file in (f"{folder}/.{name}.crc", f"{file}.crc"):
        if filesystem.get_file_info(checksum_file).type == fs.FileType.File:
            filesystem.delete_file(checksum_file)
    replace(filesystem, file, head + b"\n" + as_json(offsets).encode())


def as_json(offsets: Offsets) -> str:
    """Format offsets for Spark's Kafka source: {"topic": {"0": 42}}."""
    topics: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in offsets.items():
        topics.setdefault(topic, {})[str(partition)] = offset
    return json.dumps(topics)
