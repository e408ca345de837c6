"""Check that the consumer group's offset is never ahead of the outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.observed import ObservedOutcomes, TopicPartition


@dataclass(frozen=True, slots=True)
class Sample:
    """The group's offsets, and the ends of the output partitions read right after them.

    The ends include records of open transactions.
    """

    committed: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]


@dataclass(slots=True)
class OffsetChecker:
    """Compare samples with the outcomes that were readable up to their ends."""

    observed: ObservedOutcomes
    samples: int = 0
    ahead: list[str] = field(default_factory=list)
    _checked: dict[TopicPartition, int] = field(default_factory=dict)

    def check(self, sample: Sample) -> None:
        """Note each partition whose committed offset is past a message without an outcome.

        `observed` must already hold all outcomes before the sample's ends.
        """
        self.samples += 1
        for partition, offset in sample.committed.items():
            start = self._checked.get(partition, 0)
            if missing := self.observed.missing(partition, start, offset, sample.ends):
                topic, number = partition
                self.ahead.append(f"{topic}/{number} at {offset}: no outcome of {missing[:5]}")
            self._checked[partition] = max(start, offset)
