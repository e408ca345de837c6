"""Read topics' offsets, and read and commit the replay progress of a consumer group."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import CommitFailedError
from kafka.structs import OffsetAndMetadata

from tidemill.dead_letters import position
from tidemill.errors import NoDeadLetter, NoDeadLetterTopic
from tidemill.kafka import ranges, topics
from tidemill.kafka.connect import connect
from tidemill.kafka.failures import kafka_errors
from tidemill.kafka.members import MEMBERS_ONLY, in_use

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.dead_letters.position import ReplayProgress
    from tidemill.dead_letters.selection import Selection
    from tidemill.kafka.topics import Topic
    from tidemill.settings import KafkaSettings


def offset_ranges(kafka: KafkaSettings, topic: str) -> dict[int, range]:
    """Return the offsets of each partition, up to the last one that is committed by now.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer.
        NoDeadLetterTopic: The topic does not exist.

    """
    spans = ranges.offset_ranges(kafka, topic)
    if not spans:
        raise NoDeadLetterTopic(topic)
    return spans


def ranges_to_scan(
    kafka: KafkaSettings, topic: str, whole: Mapping[int, range], selection: Selection
) -> dict[int, range]:
    """Return the offset ranges that a selection must read.

    Raises:
        NoDeadLetter: The topic has nothing at a named place.

    """
    spans = dict(whole)
    for partition, offset in sorted(selection.places):
        if offset not in whole.get(partition, ()):
            raise NoDeadLetter(
                f"{partition}/{offset}", ranges.in_words(topic, whole.get(partition))
            )
    if selection.places:
        named: dict[int, list[int]] = {}
        for partition, offset in selection.places:
            named.setdefault(partition, []).append(offset)
        spans = {p: range(min(offsets), max(offsets) + 1) for p, offsets in named.items()}
    if selection.since is None:
        return spans
    firsts = ranges.offsets_at(kafka, topic, spans, selection.since)
    starts = {p: firsts.get(p, span.stop) for p, span in spans.items()}
    return {p: range(max(span.start, starts[p]), span.stop) for p, span in spans.items()}


def visible_topics(kafka: KafkaSettings) -> dict[str, Topic]:
    """Return every topic that is visible to this user, without its settings."""
    with kafka_errors(kafka), closing(connect(KafkaAdminClient, kafka)) as admin:
        return topics.describe(admin)


def positions(
    kafka: KafkaSettings, group: str, topic: str, spans: Mapping[int, range]
) -> dict[int, ReplayProgress]:
    """Return the group's progress in each partition, by default the partition's start."""
    with ranges.consumer(kafka, group_id=group) as consumer:
        committed = {p: consumer.committed(TopicPartition(topic, p), metadata=True) for p in spans}
    return {
        p: position.decode(offset.offset, offset.metadata or "", spans[p])
        if offset is not None and offset.offset >= 0
        else position.ReplayProgress(spans[p].start)
        for p, offset in committed.items()
    }


def commit(
    kafka: KafkaSettings, group: str, topic: str, progress: Mapping[int, ReplayProgress]
) -> None:
    """Commit progress to the group without joining it.

    Raises:
        GroupInUse: Other consumers are members of the group.

    """
    with ranges.consumer(kafka, group_id=group) as consumer:
        offsets = {
            TopicPartition(topic, p): OffsetAndMetadata(done.offset, position.encode(done), -1)
            for p, done in progress.items()
        }
        try:
            consumer.commit(offsets, timeout_ms=10_000)
        except (CommitFailedError, *MEMBERS_ONLY) as error:
            raise in_use(kafka, group) from error
