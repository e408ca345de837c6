"""Watch, while the job runs, that its input topics and, exactly once, its group stay its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidemill.errors import ConfigurationError, GroupHasMembers
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.exactly_once.position import resume
from tidemill.streaming.startup import claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.settings import KafkaSettings
    from tidemill.streaming.exactly_once.delivery import ExactlyOnce
    from tidemill.streaming.exactly_once.position import Partition, Position

# Kafka forgets an offset some time after it was committed, by default after seven days; a broker
# may be set to keep it for an hour only.
REPEAT_AFTER = 600.0


class Guard:
    """Look at the group's offsets; `watch` raises what a look found."""

    def __init__(
        self,
        kafka: KafkaSettings,
        deliver: ExactlyOnce,
        repeat_after: float = REPEAT_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect in the background."""
        self._kafka = kafka
        self._deliver = deliver
        self._repeat_after = repeat_after
        self._clock = clock
        self._group = Group(kafka, deliver.group_id)
        self._seen: dict[Partition, tuple[Position | None, float]] = {}
        self._found: ConfigurationError | None = None

    def look(self) -> None:
        """Compare what the group says with what this run has written.

        Raises:
            KafkaException, TransactionFailed: The broker does not answer, or refuses.

        """
        if members := self._group.members():  # before one of them commits
            self._found = GroupHasMembers(self._group.id, members)
        run, claimed = self._deliver.run, self._deliver.claimed
        told = self._group.settled()
        # And those of partitions and topics that have come since.
        ours = claimed.keys() | {at for at, position in told.items() if position.run == run}
        topics = self._group.topics(sorted({topic for topic, _ in ours}))
        for at in ours:
            if at[0] not in topics:  # it is gone, and Spark will say so
                continue
            try:
                resume(at, told.get(at), run, topics[at[0]].id, claimed.get(at))
                self._keep(at, told.get(at))
            except ConfigurationError as error:
                self._found = error

    def _keep(self, at: Partition, position: Position | None) -> None:
        """Commit an offset again that has not moved for long, so that Kafka does not forget it."""
        now = self._clock()
        was, since = self._seen.get(at, (None, now))
        if position is None or was != position:
            since = now
        elif now - since >= self._repeat_after:
            claim(self._kafka, self._group, self._deliver.run, at, position)
            since = now
        self._seen[at] = position, since

    def watch(self) -> None:
        """Return where all is well.

        Raises:
            ConfigurationError: It was not, at a look.

        """
        if self._found:
            raise self._found

    def close(self) -> None:
        """Close the connections."""
        self._group.close()
