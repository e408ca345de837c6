"""Ten times a second, whether the group's offset is ahead of what is written."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from dev.pipeline import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faults.observed import Partition, Seen

INTERVAL_S = 0.1
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The group's offsets, and after them the ends of the output partitions, open ones included."""

    committed: Mapping[Partition, int]
    ends: Mapping[Partition, int]


@dataclass(slots=True)
class Judge:
    """Hold samples against what could be read up to their ends."""

    seen: Seen
    samples: int = 0
    ahead: list[str] = field(default_factory=list)
    _right: dict[Partition, int] = field(default_factory=dict)

    def judge(self, sample: Sample) -> None:
        """Note each partition whose offset has passed a message that has no outcome yet.

        A reader of committed records must have come to the sample's ends before.
        """
        self.samples += 1
        for at, offset in sample.committed.items():
            start = self._right.get(at, 0)
            if missing := self.seen.missing(at, start, offset, sample.ends):
                self.ahead.append(f"{at[0]}/{at[1]} at {offset}: no outcome of {missing[:5]}")
            self._right[at] = max(start, offset)


class Sampler:
    """Read outcomes as they are committed, and compare the group's offsets with them.

    What is committed behind another producer's open transaction cannot be read before that one has
    ended: a sample is judged when the reader has come to where the topics ended as it was taken.
    """

    def __init__(
        self,
        servers: str,
        group: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        seen: Seen,
    ) -> None:
        """Start reading; samples are taken until `close`."""
        self.verdict = Judge(seen)
        self._seen = seen
        self._inputs = inputs
        committed = {"bootstrap.servers": servers, "isolation.level": "read_committed"}
        passive = {"enable.auto.commit": False, "retry.backoff.ms": 10, "log_level": 0}
        # Read_committed asks for offsets that no open transaction is about to change.
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
        self._outputs = [at for topic in outputs for at in self._partitions[topic]]
        # Beyond records: a transaction's end takes an offset too, which no position shows.
        self._reached = dict.fromkeys(self._outputs, 0)
        self._reader.assign([TopicPartition(*at, OFFSET_BEGINNING) for at in self._outputs])
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
        """Judge what waits, and end."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        for consumer in (self._group, self._reader, self._ends):
            consumer.close()

    def _partitions_of(self, topic: str) -> list[Partition]:
        found = self._ends.list_topics(topic, PATIENCE_S).topics[topic].partitions
        return [(topic, number) for number in found]

    def _sample(self) -> None:
        while not self._closing.wait(INTERVAL_S):
            try:
                self._waiting.append(self._look())
            except KafkaException:
                continue  # the broker is away, or a transaction stays open: the next look tells

    def _look(self) -> Sample:
        # One by one: all at once they would hardly ever all be free of open transactions.
        committed = {}
        for at in (at for topic in self._inputs for at in self._partitions[topic]):
            (told,) = self._group.committed([TopicPartition(*at)], PATIENCE_S)
            if told.error:
                raise KafkaException(told.error)
            committed[at] = max(0, told.offset)
        # After the offsets: what they promise is below these ends.
        ends = {
            at: self._ends.get_watermark_offsets(TopicPartition(*at), PATIENCE_S)[1]
            for at in self._outputs
        }
        return Sample(committed, ends)

    def _read(self) -> None:
        deadline = None
        while True:
            for message in self._reader.consume(500, INTERVAL_S):
                at, offset = (message.topic(), message.partition()), message.offset()
                if (error := message.error()) is None:
                    self._seen.note(records.as_record(message))
                    self._reached[at] = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    self._reached[at] = max(offset, self._reached[at])
            self._judge()
            if self._closing.is_set():
                deadline = deadline or time.monotonic() + PATIENCE_S
                if not self._waiting or time.monotonic() > deadline:
                    return

    def _judge(self) -> None:
        while self._waiting and all(
            self._reached[at] >= end for at, end in self._waiting[0].ends.items()
        ):
            self.verdict.judge(self._waiting.popleft())
