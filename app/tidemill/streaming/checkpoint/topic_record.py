"""A job's record of its input topics, in a file inside Spark's checkpoint.

Kafka assigns an id to each topic. A topic that was deleted and created again has a new id, and its
offsets count other messages. Spark's checkpoint contains only names and offsets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from tidemill.errors import CheckpointUnsupported
from tidemill.spark.filesystem import UNREADABLE, locate, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.streaming.progress import Offsets

log = structlog.get_logger(__name__)

FILE = "tidemill-topics.json"


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record of the topics that a job reads or has read.

    Attributes:
        ids: The topics' ids.
        behind: The topics that had unprocessed messages when the record was made.
        left: The partitions that are no longer read, and the offset up to which they are processed.

    """

    ids: Mapping[str, str] = field(default_factory=dict)
    behind: frozenset[str] = frozenset()
    left: Offsets = field(default_factory=dict)


def read(location: str) -> TopicRecord | None:
    """Read the record of a checkpoint: an empty one if it is missing or torn.

    Return None and log a warning if a record may exist but cannot be read now.
    """
    try:
        filesystem, path = locate(location)
        with filesystem.open_input_stream(f"{path}/{FILE}") as stream:
            topics = json.loads(stream.read())["topics"]
        return TopicRecord(
            {name: str(topic["id"]) for name, topic in topics.items()},
            frozenset(name for name, topic in topics.items() if topic["behind"]),
            {
                (name, int(partition)): int(offset)
                for name, topic in topics.items()
                for partition, offset in topic.get("left", {}).items()
            },
        )
    except (FileNotFoundError, CheckpointUnsupported):
        # The checkpoint is new, or the checksum check has logged a warning.
        return TopicRecord()
    except UNREADABLE as error:
        log.warning("cannot read a file of the checkpoint", file=FILE, error=str(error))
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("a file of the checkpoint is torn", file=FILE, error=str(error))
        return TopicRecord()


def write(location: str, record: TopicRecord) -> None:
    """Replace the record of a checkpoint.

    Call this only after the query has started: Spark treats a folder that contains only this file
    as a damaged checkpoint.

    Raises:
        CheckpointUnsupported, OSError, ArrowException: The checkpoint cannot be written.

    """
    topics = {
        name: {
            "id": topic_id,
            "behind": name in record.behind,
            "left": {str(p): offset for (topic, p), offset in record.left.items() if topic == name},
        }
        for name, topic_id in sorted(record.ids.items())
    }
    filesystem, path = locate(location)
    replace(filesystem, f"{path}/{FILE}", json.dumps({"topics": topics}).encode())
