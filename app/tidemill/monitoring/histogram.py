"""A histogram that can be added up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Histogram:
    """Cumulative counts of values up to each bound, and their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    count: int = 0
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * len(self.bounds)

    def add(self, counts: Iterable[int], count: int, total: float) -> None:
        """Add counted values."""
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)]
        self.count += count
        self.sum += total

    def observe(self, value: float) -> None:
        """Add one value."""
        self.add((int(value <= bound) for bound in self.bounds), 1, value)

    def buckets(self) -> list[tuple[str, float]]:
        """Return the buckets in Prometheus' form."""
        bounds = [*map(str, self.bounds), "+Inf"]
        return list(zip(bounds, [*self.counts, self.count], strict=True))
