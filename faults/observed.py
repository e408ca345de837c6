"""Which messages have an outcome that readers of committed records can see, and since when."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from faults.outcomes import source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.pipeline.records import Record
    from faults.outcomes import Source

# A topic and a partition of it.
Partition: TypeAlias = tuple[str, int]

LATEST = 5000  # outcomes whose times are kept


class Seen:
    """The first outcome of each message; safe to be read by one thread while another adds."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._first: dict[Source, tuple[Partition, int]] = {}
        self._latest: deque[tuple[float, Partition]] = deque(maxlen=LATEST)

    def note(self, record: Record) -> None:
        """Take in a record of an output topic."""
        at = source(record)
        if at is not None:
            with self._lock:
                self._first.setdefault(at, ((record.topic, record.partition), record.offset))
                self._latest.append((record.timestamp / 1000, at[:2]))

    def __len__(self) -> int:
        """Return how many messages have an outcome."""
        return len(self._first)

    def missing(
        self, at: Partition, start: int, end: int, ends: Mapping[Partition, int]
    ) -> list[int]:
        """Return the messages of a partition, from start to end, without an outcome below `ends`.

        `ends` are offsets in the output topics' partitions.
        """
        nowhere = (("", 0), 0)
        return [
            offset
            for offset in range(start, end)
            for where, stands in [self._first.get((*at, offset), nowhere)]
            if stands >= ends.get(where, 0)
        ]

    def next_after(self, seconds: float) -> dict[Partition, float]:
        """Return the time of the first outcome after a time, for each input partition that has one.

        Both are in seconds since the epoch; an outcome's is its record's timestamp. To be asked
        soon after that time: old outcomes are forgotten.
        """
        with self._lock:
            later = sorted((time, at) for time, at in self._latest if time > seconds)
        return {at: time for time, at in reversed(later)}
