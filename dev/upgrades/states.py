"""Describe the states that an old version of the job left behind: messages and their outcomes.

The old code runs this module too (`create.py`), so it imports nothing from the project.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT: Final = "b80ab4a"
ARCHIVE: Final = Path(__file__).with_name(f"{COMMIT}.tar.xz")
DELIVERIES: Final = ("at-least-once", "exactly-once")
ENDS: Final = ("stopped", "killed")
PARTITIONS: Final = 3
# A text with this word keeps its micro-batch from ending. Only the last partition has one, so the
# other tasks have written all their outcomes by then.
HELD: Final = "held"
HELD_PARTITION: Final = PARTITIONS - 1
# Keep everything, however old. Transactional ids expire after 24 days at the latest, but Kafka
# checks that only at an interval, and no test lasts that long.
KEEP_ALL: Final = {
    "log.retention.ms": "-1",
    "offsets.retention.minutes": str(2**31 - 1),
    "transactional.id.expiration.ms": str(2**31 - 1),
    "transaction.remove.expired.transaction.cleanup.interval.ms": str(2**31 - 1),
}

# The messages of each partition, in order. A text is answered with itself; an error class means a
# dead letter.
ANSWERED: Final = ("text", "NullValue", "InvalidJson", "MissingField", "NoModel", "text")
INTERRUPTED: Final = ("text", "NoModel", "InvalidJson", HELD, "text")
UNREAD: Final = ("text", "MissingField", "text")
LATER: Final = ("NullValue", "text")


@dataclass(frozen=True, slots=True)
class Message:
    """A message and its outcome: the answer in its result, or its dead letter's error class.

    The uuid is also the record's key, since not every value can hold it.
    """

    uuid: str
    partition: int
    value: bytes | None
    outcome: str

    @property
    def record(self) -> dict[str, Any]:
        """Return the arguments of confluent-kafka's `produce`."""
        return {"key": self.uuid.encode(), "value": self.value, "partition": self.partition}


def messages(name: str, kinds: tuple[str, ...]) -> Iterator[Message]:
    """Yield one message of each kind for each partition; `name` makes the uuids unique."""
    for number, kind in enumerate(kinds):
        for partition in range(PARTITIONS):
            uuid = f"{name}-{partition}-{number}"
            word = "text" if kind == HELD and partition != HELD_PARTITION else kind
            text = f"{word} of {uuid}"
            fields = {"text": text, "lang": "en", "uuid": uuid}
            bad = {
                "NullValue": None,
                "InvalidJson": f"{uuid} is not JSON".encode(),
                "MissingField": json.dumps({"lang": "en", "uuid": uuid}).encode(),
                "NoModel": json.dumps(fields | {"lang": "de"}).encode(),
            }
            valid = kind not in bad
            value = json.dumps(fields).encode() if valid else bad[kind]
            yield Message(uuid, partition, value, text if valid else kind)


BEFORE: Final = tuple(messages("answered", ANSWERED))
DURING: Final = tuple(messages("interrupted", INTERRUPTED))
AFTER: Final = tuple(messages("unread", UNREAD))
NEW: Final = tuple(messages("later", LATER))
