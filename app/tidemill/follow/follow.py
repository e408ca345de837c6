"""Follow a topic: what it has goes into a table, with the position in the same transaction."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from tidemill.follow.writer import Stopped
from tidemill.kafka.followed_topic import FollowedTopic

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.follow.writer import Writer
    from tidemill.settings import KafkaSettings

# The most records of a transaction, and the seconds to wait for them.
BATCH, WAIT_S = 1000, 0.2


def follow(
    kafka: KafkaSettings,
    topic: str,
    group: str,
    writer: Writer,
    stopped: Callable[[], bool],
    *,
    until_end: bool,
) -> None:
    """Write records until the program is asked to stop, or until the end of the topic.

    Raises:
        InvalidRow: A record does not fit the table.
        TidemillError: The topic cannot be read.

    """
    with suppress(Stopped), closing(FollowedTopic(kafka, topic, group, writer.position)) as records:
        while not stopped() and not (until_end and records.is_at_end):
            arrived = records.read(BATCH, WAIT_S)
            for partition, messages in arrived.items():
                writer.write(partition, messages)
            records.commit({p: (each[-1].offset or 0) + 1 for p, each in arrived.items()})
