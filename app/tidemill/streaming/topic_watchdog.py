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
    """Compare the ids of the input topics with the checkpoint's, and save the ids beside it.

    Topics that match `input_pattern` may appear and disappear. A recreated topic has a new id, but
    Spark resumes at the old topic's offsets unless it completed a micro-batch without the topic.
    """

    def __init__(
        self, kafka: KafkaSettings, stream: StreamSettings, topics: TopicRecord | None
    ) -> None:
        """Connect in the background.

        `topics` is the record from the start of the job. If it is None, save nothing.
        """
        self._group = Group(kafka, stream.group_id)
        self._location = stream.checkpoint_location
        self._save = topics is not None
        self._topics = topics or TopicRecord()
        self._saved: TopicRecord | None = None
        self._progress: Progress | None = None
        self._error: TopicRecreated | None = None

    def record(self, progress: Progress) -> None:
        """Take the progress of a finished micro-batch; return at once."""
        self._progress = progress

    def poll(self) -> None:
        """Read the topics' ids from Kafka, and save the record if it changed.

        Raises:
            KafkaException: The broker does not answer, or refuses the request.
            CheckpointUnsupported, OSError, ArrowException: The checkpoint cannot be written.

        """
        progress, topics = self._progress, self._topics
        removed = {name for name, _ in topics.left}
        read = {name for name, _ in progress.offsets} if progress else topics.ids.keys() - removed
        ids = {name: i for name, i in topics.ids.items() if name in read | removed}
        for name, topic in self._group.describe_topics(sorted(read)).items():
            if ids.setdefault(name, topic.id) != topic.id:
                self._error = TopicRecreated(name)
        behind = progress.behind & ids.keys() if progress else topics.behind
        self._topics = TopicRecord(ids, behind, topics.left)
        if self._save and self._topics != self._saved:
            topic_record.write(self._location, self._topics)
            self._saved = self._topics

    def check(self) -> None:
        """Raise the error that a poll detected, if any.

        Raises:
            TopicRecreated: An input topic was deleted and created again.

        """
        if self._error:
            raise self._error

    def close(self) -> None:
        """Poll once more to save the latest record, and close the connections."""
        with suppress(KafkaException, *UNREADABLE):  # the next start checks again
            self.poll()
        self._group.close()
