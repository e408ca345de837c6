"""Add up Spark's reports of micro-batches (pure: the time is an argument)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemill.errors import InvalidJson, InvalidUtf8, MissingField, NoModel, NullValue, WrongType
from tidemill.monitoring.histogram import Histogram
from tidemill.streaming.progress import LATENCY_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.streaming.progress import Progress

# The errors of a message for which no model was chosen yet.
BEFORE_A_MODEL = (NullValue, InvalidUtf8, InvalidJson, MissingField, WrongType, NoModel)
DURATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1200.0)


@dataclass(slots=True)
class Totals:
    """The sums since the job started, and some values of the last micro-batch.

    Attributes:
        outcomes: Messages by model (`name:version`; None if none was chosen) and error class (None
            for results).
        uncounted: Messages whose outcome no report has counted.
        durations: Seconds of micro-batches by Spark's stage.
        latency: Seconds from the messages' Kafka timestamps to their outcomes.
        quantiles: The same, as quantiles of the last micro-batch that had messages.
        rates: Messages per second that arrived before the last micro-batch, and that it processed.
        progressed_at: When the last micro-batch finished, or there was nothing to do.

    """

    outcomes: dict[tuple[str | None, str | None], int]
    messages: int = 0
    uncounted: int = 0
    durations: dict[str, Histogram] = field(default_factory=dict)
    latency: Histogram = field(default_factory=lambda: Histogram(LATENCY_BUCKETS))
    quantiles: tuple[float, ...] = ()
    rates: tuple[float, float] = (0.0, 0.0)
    progressed_at: float | None = None

    @classmethod
    def starting(cls, models: Iterable[str]) -> Totals:
        """Return totals in which every known series is 0: a rate misses a series' first value."""
        return cls(
            {
                **{(model, None): 0 for model in models},
                **{(None, error.__name__): 0 for error in BEFORE_A_MODEL},
            }
        )

    def add(self, progress: Progress, now: float) -> None:
        """Count a finished micro-batch."""
        self.messages += progress.messages
        self.uncounted += max(0, progress.messages - sum(progress.outcomes.values()))
        for kind, count in progress.outcomes.items():
            self.outcomes[kind] = self.outcomes.get(kind, 0) + count
        for stage, seconds in progress.durations.items():
            self.durations.setdefault(stage, Histogram(DURATION_BUCKETS)).observe(seconds)
        latencies = progress.latencies
        self.latency.add(latencies.buckets, latencies.count, latencies.sum)
        self.quantiles = latencies.quantiles or self.quantiles
        self.rates = (progress.arriving, progress.processed)
        self.progressed_at = now

    def idle(self, now: float) -> None:
        """Record that there was nothing to do."""
        self.rates = (0.0, 0.0)
        self.progressed_at = now
