"""Watch, while the job runs, that its input topics and, exactly once, its group stay its own."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from tidemill.errors import ConfigurationError, GroupHasMembers, TopicRecreated
from tidemill.spark.filesystem import UNREADABLE
from tidemill.streaming.checkpoint import topic_record
from tidemill.streaming.checkpoint.topic_record import TopicRecord
from tidemill.streaming.exactly_once.group import Group
from tidemill.streaming.exactly_once.position import resume
from tidemill.streaming.startup import claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.streaming.exactly_once.delivery import ExactlyOnce
    from tidemill.streaming.exactly_once.position import Partition, Position
    from tidemill.streaming.progress import Progress

# Kafka forgets an offset some time after it was committed, by default after seven days; a broker
# may be set to keep it for an hour only.
REPEAT_AFTER = 600.0


class TopicGuard:
    """Compare the ids of the input topics with those that the checkpoint belongs to, and keep them.

    Topics come, as new ones match `input_pattern`, and go. One that comes back under its old name
    is another topic: unless Spark has read a micro-batch without it in between, Spark would go on
    at the old one's offsets.
    """

    def __init__(
        self, kafka: KafkaSettings, stream: StreamSettings, topics: TopicRecord | None
    ) -> None:
        """Connect in the background; `topics` is what the start knew, None: nothing to be kept."""
        self._group = Group(kafka, stream.group_id)
        self._location = stream.checkpoint_location
        self._keep = topics is not None
        self._topics = topics or TopicRecord()
        self._written: TopicRecord | None = None
        self._progress: Progress | None = None
        self._found: TopicRecreated | None = None

    def progressed(self, report: Progress) -> None:
        """Take the progress of a finished micro-batch; return at once."""
        self._progress = report

    def poll(self) -> None:
        """Ask for the topics; write down what has changed.

        Raises:
            KafkaException: The broker does not answer, or refuses.
            CheckpointUnsupported, OSError, ArrowException: The checkpoint cannot be written.

        """
        report, topics = self._progress, self._topics
        left = {name for name, _ in topics.left}
        read = {name for name, _ in report.offsets} if report else topics.ids.keys() - left
        ids = {name: i for name, i in topics.ids.items() if name in read | left}
        for name, topic in self._group.topics(sorted(read)).items():
            if ids.setdefault(name, topic.id) != topic.id:
                self._found = TopicRecreated(name)
        behind = report.behind & ids.keys() if report else topics.behind
        self._topics = TopicRecord(ids, behind, topics.left)
        if self._keep and self._topics != self._written:
            topic_record.write(self._location, self._topics)
            self._written = self._topics

    def watch(self) -> None:
        """Raise what a poll has found.

        Raises:
            TopicRecreated: An input topic was deleted and created again.

        """
        if self._found:
            raise self._found

    def close(self) -> None:
        """Write down what has changed last, and close the connections."""
        with suppress(KafkaException, *UNREADABLE):  # the start of the next run looks again
            self.poll()
        self._group.close()


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
