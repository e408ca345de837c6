"""Read the lag of the job's consumer group from Kafka."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import GroupIdNotFoundError, KafkaError

from tidemill.errors import NoInputTopic
from tidemill.kafka import topics
from tidemill.kafka.connect import connect, with_coordinator
from tidemill.kafka.failures import kafka_errors
from tidemill.kafka.lag import LagSnapshot, PartitionLag
from tidemill.kafka.timestamps import TimestampReader

if TYPE_CHECKING:
    from tidemill.settings import KafkaSettings, StreamSettings

UNCOMMITTED = "read_uncommitted"


class LagReader:
    """Read the group's lag over one connection, which is renewed after an error."""

    def __init__(self, kafka: KafkaSettings, stream: StreamSettings) -> None:
        """Store the settings; the first `read` connects."""
        self._kafka = kafka
        self._stream = stream
        self._admin: KafkaAdminClient | None = None
        self._ages: dict[str, TimestampReader] = {}  # by isolation level

    def read(self, now: float, *, ages: bool) -> LagSnapshot:
        """Return the lag of each current partition of the input topics.

        `now` is in seconds since the epoch. With `ages`, fetch a record from each partition that
        lags and from each that a transaction holds back; each of the two takes at most 3 s.

        Raises:
            KafkaAuthFailed: The broker refuses the credentials.
            BrokerUnreachable: The broker does not answer.
            NoInputTopic: No input topic exists.

        """
        try:
            with kafka_errors(self._kafka):
                lags = self._lags()
                return LagSnapshot(now, tuple(self._with_ages(lags, now) if ages else lags))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        clients = [*filter(None, [self._admin]), *self._ages.values()]
        self._admin, self._ages = None, {}
        for client in clients:
            with suppress(KafkaError, OSError):
                client.close()

    def _lags(self) -> list[PartitionLag]:
        if self._admin is None:
            self._admin = connect(KafkaAdminClient, self._kafka)
        admin = self._admin
        names = None if self._stream.input_pattern else self._stream.input_topics
        described = topics.describe(admin, names)
        partitions = sorted(
            TopicPartition(name, partition)
            for name in topics.inputs(described, self._stream)
            for partition in range(described[name].partitions)
        )
        if not partitions:
            raise NoInputTopic(self._stream.input_pattern or ", ".join(self._stream.input_topics))
        # This order never shows a running job past the end, nor counts a transaction that ends
        # meanwhile as open.
        committed = self._committed(admin)
        begins = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
        latest = dict.fromkeys(partitions, OffsetSpec.LATEST)
        log_ends = admin.list_partition_offsets(latest, UNCOMMITTED)
        ends = admin.list_partition_offsets(latest, self._kafka.isolation_level)
        return [
            PartitionLag(
                partition.topic,
                partition.partition,
                begins[partition].offset,
                ends[partition].offset,
                committed.get(partition),
                held_back=max(0, log_ends[partition].offset - ends[partition].offset),
            )
            for partition in partitions
        ]

    def _committed(self, admin: KafkaAdminClient) -> dict[TopicPartition, int]:
        group = self._stream.group_id
        try:
            offsets = with_coordinator(lambda: admin.list_group_offsets(group)[group])
        except GroupIdNotFoundError:
            return {}
        return {
            partition: committed.offset
            for partition, committed in offsets.items()
            if committed.offset >= 0
        }

    def _with_ages(self, lags: list[PartitionLag], now: float) -> list[PartitionLag]:
        waiting = {(p.topic, p.partition): p.oldest for p in lags if p.lag}
        held = {(p.topic, p.partition): p.end for p in lags if p.held_back}
        ages = self._seconds_since(waiting, self._kafka.isolation_level, now)
        held_for = self._seconds_since(held, UNCOMMITTED, now)
        return [
            replace(p, age=ages.get(key), held_for=held_for.get(key))
            for p in lags
            for key in [(p.topic, p.partition)]
        ]

    def _seconds_since(
        self, offsets: dict[tuple[str, int], int], isolation_level: str, now: float
    ) -> dict[tuple[str, int], float]:
        """Return the seconds since the messages at these offsets were sent."""
        if not offsets:
            return {}
        try:
            if isolation_level not in self._ages:
                reader = TimestampReader(self._kafka, self._stream.group_id, isolation_level)
                self._ages[isolation_level] = reader
            sent = self._ages[isolation_level].timestamps(offsets)
        except KafkaException:  # a lag without ages is better than no lag
            return {}
        return {partition: max(0.0, now - seconds) for partition, seconds in sent.items()}
