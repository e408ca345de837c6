"""Ask Kafka how far the job's consumer group is."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import GroupIdNotFoundError, KafkaError

from tidemill.errors import NoInputTopic
from tidemill.kafka.connect import connect, kafka_errors, with_coordinator
from tidemill.kafka.lag import LagSnapshot, PartitionLag
from tidemill.kafka.timestamps import TimestampReader

if TYPE_CHECKING:
    from tidemill.settings import KafkaSettings, StreamSettings

UNCOMMITTED = "read_uncommitted"


class LagReader:
    """Read the group's lag on a connection that is kept, and made anew after an error."""

    def __init__(self, kafka: KafkaSettings, stream: StreamSettings) -> None:
        """Keep what is needed to ask; nothing is sent before the first look."""
        self._kafka = kafka
        self._stream = stream
        self._admin: KafkaAdminClient | None = None
        self._ages: dict[str, TimestampReader] = {}  # by their isolation level

    def look(self, now: float, *, ages: bool) -> LagSnapshot:
        """Return how far the group is in each partition that the input topics have by now.

        `now` is in seconds since the epoch. With `ages` a record is fetched of each partition
        that lags, and of each that a transaction holds back, which takes 3 s at most for either.

        Raises:
            KafkaAuthFailed: The broker refuses the credentials.
            BrokerUnreachable: It does not answer.
            NoInputTopic: None of the topics is there.

        """
        try:
            with kafka_errors(self._kafka):
                lags = self._lags()
                return LagSnapshot(now, tuple(self._aged(lags, now) if ages else lags))
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
        names = None if self._stream.input_pattern else list(self._stream.input_topics)
        partitions = sorted(
            TopicPartition(topic["name"], partition["partition_index"])
            for topic in admin.describe_topics(names)
            if self._is_input(topic)
            for partition in topic["partitions"]
        )
        if not partitions:
            raise NoInputTopic(self._stream.input_pattern or ", ".join(self._stream.input_topics))
        # In this order, so that a running job is never seen beyond the end, and a transaction that
        # ends meanwhile is not taken for an open one.
        committed = self._committed(admin)
        begins = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
        latest = dict.fromkeys(partitions, OffsetSpec.LATEST)
        log_ends = admin.list_partition_offsets(latest, UNCOMMITTED)
        ends = admin.list_partition_offsets(latest, self._kafka.isolation_level)
        return [
            PartitionLag(
                at.topic,
                at.partition,
                begins[at].offset,
                ends[at].offset,
                committed.get(at),
                held_back=max(0, log_ends[at].offset - ends[at].offset),
            )
            for at in partitions
        ]

    def _is_input(self, topic: dict[str, Any]) -> bool:
        if topic["error_code"]:  # not there, or not ours to see
            return False
        pattern = self._stream.input_pattern
        return pattern is None or (
            # Kafka's own topics match no pattern, for Spark neither.
            not topic["is_internal"] and re.fullmatch(pattern, topic["name"]) is not None
        )

    def _committed(self, admin: KafkaAdminClient) -> dict[TopicPartition, int]:
        group = self._stream.group_id
        try:
            offsets = with_coordinator(lambda: admin.list_group_offsets(group)[group])
        except GroupIdNotFoundError:
            return {}
        return {at: told.offset for at, told in offsets.items() if told.offset >= 0}

    def _aged(self, lags: list[PartitionLag], now: float) -> list[PartitionLag]:
        waiting = {(p.topic, p.partition): p.oldest for p in lags if p.lag}
        held = {(p.topic, p.partition): p.end for p in lags if p.held_back}
        ages = self._since(waiting, self._kafka.isolation_level, now)
        held_for = self._since(held, UNCOMMITTED, now)
        return [
            replace(p, age=ages.get(at), held_for=held_for.get(at))
            for p in lags
            for at in [(p.topic, p.partition)]
        ]

    def _since(
        self, offsets: dict[tuple[str, int], int], isolation_level: str, now: float
    ) -> dict[tuple[str, int], float]:
        """Return for how many seconds the messages at these offsets have been there."""
        if not offsets:
            return {}
        try:
            if isolation_level not in self._ages:
                reader = TimestampReader(self._kafka, self._stream.group_id, isolation_level)
                self._ages[isolation_level] = reader
            sent = self._ages[isolation_level].timestamps(offsets)
        except KafkaException:  # a lag without its ages is better than none
            return {}
        return {at: max(0.0, now - seconds) for at, seconds in sent.items()}
