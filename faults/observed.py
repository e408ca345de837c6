"""The outcomes that a reader of committed records has seen so far."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from faults.outcomes import model_start, source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.pipeline.records import Record
    from faults.outcomes import Source

# A topic, and the number of a partition.
TopicPartition: TypeAlias = tuple[str, int]

MAX_TIMES = 5000  # of the latest outcomes


class ObservedOutcomes:
    """The first outcome of each message; one thread may read while another adds."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._first: dict[Source, tuple[TopicPartition, int]] = {}
        # When it was written, when the model's call began, and the input partition.
        self._times: deque[tuple[float, float, TopicPartition]] = deque(maxlen=MAX_TIMES)

    def add(self, record: Record) -> None:
        """Add a record of an output topic."""
        message = source(record)
        if message is not None:
            start = model_start(record.value)
            with self._lock:
                self._first.setdefault(message, ((record.topic, record.partition), record.offset))
                self._times.append((record.timestamp / 1000, start, message[:2]))

    def __len__(self) -> int:
        """Return how many messages have an outcome."""
        return len(self._first)

    def missing(
        self, partition: TopicPartition, start: int, end: int, ends: Mapping[TopicPartition, int]
    ) -> list[int]:
        """Return the offsets from start to end of a partition whose messages have no outcome.

        An outcome counts if its own offset is below the end of its partition in `ends`.
        """
        nowhere = (("", 0), 0)
        return [
            offset
            for offset in range(start, end)
            for output, position in [self._first.get((*partition, offset), nowhere)]
            if position >= ends.get(output, 0)
        ]

    def first_times_after(
        self, seconds: float, started_after: float = 0.0
    ) -> dict[TopicPartition, float]:
        """Return when each input partition had its first outcome after a time, if it had one.

        Outcomes that the model began to compute before `started_after` do not count. Times are in
        seconds since the epoch; an outcome's time is its record's timestamp. Ask soon, because only
        the latest outcomes are kept.
        """
        with self._lock:
            later = sorted(
                (time, part)
                for time, start, part in self._times
                if time > seconds and start >= started_after
            )
        return {part: time for time, part in reversed(later)}
