"""Compare the group's offset with the outcomes ten times a second."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from dev.pipeline import records
from faults.offset_checker import OffsetChecker, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults import observed

INTERVAL_S = 0.1
TIMEOUT_S = 30.0


class Sampler:
    """Read outcomes as they are committed, and compare the group's offsets with them.

    Records behind another producer's open transaction cannot be read until it ends. So a sample
    waits until the reader reaches the ends that the output topics had when it was taken.
    """

    def __init__(
        self,
        servers: str,
        group: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        outcomes: observed.ObservedOutcomes,
    ) -> None:
        """Connect; the threads start when the context is entered."""
        self.checker = OffsetChecker(outcomes)
        self._outcomes = outcomes
        self._inputs = inputs
        committed = {"bootstrap.servers": servers, "isolation.level": "read_committed"}
        passive = {"enable.auto.commit": False, "retry.backoff.ms": 10, "log_level": 0}
        # With read_committed this returns only offsets that no open transaction will change.
        self._group = Consumer({**committed, **passive, "group.id": group})
        self._reader = Consumer(
            {
                **committed,
                **passive,
                "group.id": "reads-without-committing",
                "enable.partition.eof": True,
            }
        )
        self._ends = Consumer(
            {**committed, **passive, "group.id": "asks", "isolation.level": "read_uncommitted"}
        )
        self._partitions = {topic: self._partitions_of(topic) for topic in (*inputs, *outputs)}
        self._outputs = [part for topic in outputs for part in self._partitions[topic]]
        # Where the reader is. A transaction's end marker has an offset too, which no record shows.
        self._reached = dict.fromkeys(self._outputs, 0)
        self._reader.assign([TopicPartition(*part, OFFSET_BEGINNING) for part in self._outputs])
        self._waiting: deque[Sample] = deque()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=target, daemon=True) for target in (self._sample, self._read)
        ]

    def __enter__(self) -> Self:
        """Start both threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Check the samples that still wait, and stop."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        for consumer in (self._group, self._reader, self._ends):
            consumer.close()

    def _partitions_of(self, topic: str) -> list[observed.TopicPartition]:
        numbers = self._ends.list_topics(topic, TIMEOUT_S).topics[topic].partitions
        return [(topic, number) for number in numbers]

    def _sample(self) -> None:
        while not self._closing.wait(INTERVAL_S):
            try:
                self._waiting.append(self._take_sample())
            except KafkaException:
                continue  # the broker is down, or a transaction stays open: try again

    def _take_sample(self) -> Sample:
        # One by one: all partitions are hardly ever free of open transactions at the same time.
        committed = {}
        for part in (part for topic in self._inputs for part in self._partitions[topic]):
            (position,) = self._group.committed([TopicPartition(*part)], TIMEOUT_S)
            if position.error:
                raise KafkaException(position.error)
            committed[part] = max(0, position.offset)
        # After the offsets: the outcomes that they promise are below these ends.
        ends = {
            part: self._ends.get_watermark_offsets(TopicPartition(*part), TIMEOUT_S)[1]
            for part in self._outputs
        }
        return Sample(committed, ends)

    def _read(self) -> None:
        deadline = None
        while True:
            for message in self._reader.consume(500, INTERVAL_S):
                record = records.as_record(message)  # the end of a partition has an offset too
                part = (record.topic, record.partition)
                if (error := message.error()) is None:
                    self._outcomes.add(record)
                    self._reached[part] = record.offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    self._reached[part] = max(record.offset, self._reached[part])
            self._check()
            if self._closing.is_set():
                deadline = deadline or time.monotonic() + TIMEOUT_S
                if not self._waiting or time.monotonic() > deadline:
                    return

    def _check(self) -> None:
        while self._waiting and all(
            self._reached[part] >= end for part, end in self._waiting[0].ends.items()
        ):
            self.checker.check(self._waiting.popleft())
