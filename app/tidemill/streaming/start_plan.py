"""Plan a start of the job: read Kafka and the checkpoint, and change neither."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from tidemill.kafka.failures import unreachable
from tidemill.kafka.lag_reader import LagReader
from tidemill.spark.filesystem import UNREADABLE
from tidemill.streaming import input_changes, starting_offsets
from tidemill.streaming.checkpoint import checksums, offset_log, topic_record
from tidemill.streaming.checkpoint.topic_record import TopicRecord
from tidemill.streaming.start_state import StartState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidemill.kafka.lag import PartitionLag
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.streaming.exactly_once.group import Group
    from tidemill.streaming.exactly_once.position import CommittedOffset, TopicPartition
    from tidemill.streaming.input_changes import InputChanges
    from tidemill.streaming.progress import Offsets


@dataclass(frozen=True, slots=True)
class StartPlan:
    """What a start knows, and what it will do.

    Attributes:
        state: The state before the start.
        group_offsets: The group's offsets, if the job resumes at them.
        offsets: The offset at which each partition resumes.
        changes: The partitions that join or leave the inputs.

    """

    state: StartState
    group_offsets: Mapping[TopicPartition, CommittedOffset]
    offsets: Offsets
    changes: InputChanges

    def topic_record(self) -> TopicRecord | None:
        """Return the record of the run that starts: its topics, and those that it reads no more.

        Return None, to save nothing, if the checkpoint could not be read.
        """
        state, offsets = self.state, self.offsets
        if not state.checkpoint_readable:
            return None
        left = {
            partition: offset
            for partition, offset in (state.topic_record.left | self.changes.removed).items()
            if partition not in offsets and state.topic_exists(partition[0])
        }
        read = {
            tp: max(offset, state.offset_log.start.get(tp, 0)) for tp, offset in offsets.items()
        }
        behind = {p.topic for p in state.partitions if read[p.topic, p.partition] < p.end}
        recorded = {topic for topic, _ in offsets.keys() | left.keys()}
        ids = {name: topic_id for name, topic_id in state.topic_ids.items() if name in recorded}
        return TopicRecord(ids, frozenset(behind), left)


def inspect(
    kafka: KafkaSettings,
    stream: StreamSettings,
    group: Group,
    group_offsets: Callable[[StartState], Mapping[TopicPartition, CommittedOffset]],
    *,
    read_removed: bool = False,
) -> StartPlan:
    """Plan where each partition resumes; change nothing.

    `group_offsets` returns the group's offsets if the job is to resume at them, and raises if it
    cannot resume. With `read_removed`, read the offsets of removed partitions too.

    Raises:
        ConfigurationError: Resuming would lose messages, or process some twice; or the checkpoint
            is damaged.
        DataLoss: Kafka has deleted unprocessed messages.
        BrokerUnreachable: Kafka does not answer.

    """
    checksums.check(stream.checkpoint_location)
    try:
        state = _read_state(kafka, stream, group, read_removed=read_removed)
        changes = input_changes.compare(
            state, accept_loss=not stream.fail_on_data_loss, has_record=group.has_record
        )
        committed = group_offsets(state)
    except KafkaException as error:
        raise unreachable(kafka, error.args[0]) from error
    offsets = starting_offsets.resume(state, stream, committed)
    return StartPlan(state, committed, offsets, changes)


def read_partitions(kafka: KafkaSettings, stream: StreamSettings) -> Sequence[PartitionLag]:
    """Return the partitions of the input topics.

    Raises:
        KafkaAuthFailed, BrokerUnreachable, NoInputTopic: They cannot be read.

    """
    with closing(LagReader(kafka, stream)) as reader:
        return reader.read(time.time(), ages=False).partitions


def _read_state(
    kafka: KafkaSettings, stream: StreamSettings, group: Group, *, read_removed: bool
) -> StartState:
    log, readable = offset_log.OffsetLog(), True
    try:
        log = offset_log.read(stream.checkpoint_location)
    except UNREADABLE:  # the checksum check has logged a warning
        readable = False
    # Read the ends after the offsets, so that a running job never seems to be past an end.
    first_read = read_partitions(kafka, stream)
    committed = group.stable_committed([(p.topic, p.partition) for p in first_read])
    partitions = read_partitions(kafka, stream)
    inputs = {(p.topic, p.partition) for p in partitions}
    removed = (log.start.keys() | log.planned.keys()) - inputs
    saved = topic_record.read(stream.checkpoint_location)
    record = saved or TopicRecord()
    topics = group.describe_topics(
        sorted({topic for topic, _ in inputs | removed | record.left.keys()})
    )
    if read_removed:
        committed |= group.stable_committed([tp for tp in removed if tp[0] in topics])
    return StartState(
        partitions,
        committed,
        {name: topic.id for name, topic in topics.items()},
        log,
        record,
        frozenset(name for name, p in removed if name in topics and p >= topics[name].partitions),
        checkpoint_readable=readable and saved is not None,
    )
