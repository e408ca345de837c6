"""Detect changes to the consumer group's offsets while an exactly-once job runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidemill.errors import ConfigurationError, GroupHasMembers
from tidemill.streaming.exactly_once.claim import claim
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.exactly_once.position import resume

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.settings import KafkaSettings
    from tidemill.streaming.exactly_once.position import CommittedOffset, TopicPartition
    from tidemill.streaming.exactly_once.worker import TransactionalWorker
    from tidemill.streaming.progress import Progress

POLL_INTERVAL_S = 2.0
# Kafka deletes an offset some time after its commit, by default after seven days. A broker may be
# configured to keep it for only an hour.
REFRESH_INTERVAL_S = 600.0


class GroupWatchdog:
    """Poll the group's offsets; `check` raises the error that a poll detected."""

    def __init__(
        self,
        kafka: KafkaSettings,
        worker: TransactionalWorker,
        refresh_interval: float = REFRESH_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect in the background."""
        self._kafka = kafka
        self._worker = worker
        self._refresh_interval = refresh_interval
        self._clock = clock
        self._group = Group(kafka, worker.group_id)
        self._last_change: dict[TopicPartition, tuple[CommittedOffset | None, float]] = {}
        self._error: ConfigurationError | None = None

    def poll(self) -> None:
        """Compare the group's offsets with those that this run committed.

        Raises:
            KafkaException, TransactionFailed: The broker does not answer, or refuses the request.

        """
        if members := self._group.members():  # before one of them commits
            self._error = GroupHasMembers(self._group.id, members)
        run, claimed = self._worker.run, self._worker.claimed
        committed = self._group.last_committed()
        # Include partitions and topics that appeared after the start.
        owned = claimed.keys() | {tp for tp, offset in committed.items() if offset.run == run}
        topics = self._group.describe_topics(sorted({topic for topic, _ in owned}))
        for partition in owned:
            if partition[0] not in topics:  # it was deleted, which Spark will report
                continue
            offset, topic_id = committed.get(partition), topics[partition[0]].id
            try:
                resume(partition, offset, run, topic_id, claimed.get(partition))
                self._refresh(partition, offset)
            except ConfigurationError as error:
                self._error = error

    def _refresh(self, partition: TopicPartition, offset: CommittedOffset | None) -> None:
        """Commit an idle partition's offset again, so that Kafka does not delete it."""
        now = self._clock()
        previous, since = self._last_change.get(partition, (None, now))
        if offset is None or previous != offset:
            since = now
        elif now - since >= self._refresh_interval:
            claim(self._kafka, self._group, self._worker.run, partition, offset)
            since = now
        self._last_change[partition] = offset, since

    def record(self, progress: Progress) -> None:
        """Do nothing: the workers have committed the offsets of the micro-batch."""

    def check(self) -> None:
        """Raise the error that a poll detected, if any.

        Raises:
            ConfigurationError: The group has members, or its offsets were changed.

        """
        if self._error:
            raise self._error

    def close(self) -> None:
        """Close the connections."""
        self._group.close()
