"""Detect input topics that are deleted and recreated while the job runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from tidemill.errors import TopicRecreated
from tidemill.spark.filesystem import UNREADABLE
from tidemill.streaming.checkpoint import topic_record
from tidemill.streaming.checkpoint.topic_record import TopicRecord
from tidemill.streaming.exactly_once.group import Group

if TYPE_CHECKING:
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.streaming.progress import Progress


class TopicWatchdog:
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

    def record(self, report: Progress) -> None:
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
