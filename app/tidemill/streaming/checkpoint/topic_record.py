"""What a checkpoint's job knew of its input topics, kept in a file among Spark's own.

Kafka gives each topic an id. A topic that was deleted and created again has another one, and its
offsets count other messages. Spark's checkpoint holds only names and offsets.
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
    """What a job knew of the topics that it reads, or has read.

    Attributes:
        ids: Their ids.
        behind: Those that had unanswered messages when the job last looked.
        left: The partitions that are no longer read, and the offset up to which they are answered.

    """

    ids: Mapping[str, str] = field(default_factory=dict)
    behind: frozenset[str] = frozenset()
    left: Offsets = field(default_factory=dict)


def read(location: str) -> TopicRecord | None:
    """Return the record of a checkpoint: an empty one if there is none, or a torn one.

    None, with a warning, means that there may be one that cannot be read now.
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
        return TopicRecord()  # a new checkpoint; or one that the integrity check has warned of
    except UNREADABLE as error:
        log.warning("cannot read a file of the checkpoint", file=FILE, error=str(error))
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("a file of the checkpoint is torn", file=FILE, error=str(error))
        return TopicRecord()


def write(location: str, record: TopicRecord) -> None:
    """Replace the record of a checkpoint.

    Spark takes a folder that holds only this for a damaged checkpoint: call it when the query has
    started.

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
