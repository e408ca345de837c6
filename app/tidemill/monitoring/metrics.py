"""The job's own metrics, counted on the driver from Spark's report of each micro-batch."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

import tidemill
from tidemill.errors import InvalidJson, InvalidUtf8, MissingField, NoModel, NullValue, WrongType
from tidemill.monitoring.histogram import Histogram
from tidemill.streaming.progress import LATENCY_BUCKETS, QUANTILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.core import Metric

    from tidemill.inference.model import ModelSpec
    from tidemill.kafka.lag import LagSnapshot
    from tidemill.streaming.progress import Progress

# The errors of a message for which no model was chosen yet.
BEFORE_A_MODEL = (NullValue, InvalidUtf8, InvalidJson, MissingField, WrongType, NoModel)
DURATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1200.0)


class JobMetrics(Collector):
    """The metrics with the prefix `tidemill_`; any thread may record or collect."""

    def __init__(
        self,
        group_id: str,
        specs: Sequence[ModelSpec],
        is_ready: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Store the job's identity; `clock` returns seconds since the epoch."""
        self._group_id = group_id
        self._specs = specs
        self._is_ready = is_ready
        self._clock = clock
        self._lock = threading.Lock()
        self._messages = 0
        # Start known series at 0, because a rate misses the first value of a series.
        self._outcomes: dict[tuple[str | None, str | None], int] = {
            **{(spec.id, None): 0 for spec in specs},
            **{(None, error.__name__): 0 for error in BEFORE_A_MODEL},
        }
        self._durations: dict[str, Histogram] = {}
        self._latency = Histogram(LATENCY_BUCKETS)
        self._quantiles: tuple[float, ...] = ()
        self._uncounted = 0
        self._rates = (0.0, 0.0)
        self._lag: LagSnapshot | None = None
        self._progressed_at: float | None = None

    def record(self, progress: Progress) -> None:
        """Count a finished micro-batch."""
        with self._lock:
            self._messages += progress.messages
            self._uncounted += max(0, progress.messages - sum(progress.outcomes.values()))
            for kind, count in progress.outcomes.items():
                self._outcomes[kind] = self._outcomes.get(kind, 0) + count
            for stage, seconds in progress.durations.items():
                self._durations.setdefault(stage, Histogram(DURATION_BUCKETS)).observe(seconds)
            latencies = progress.latencies
            self._latency.add(latencies.buckets, latencies.count, latencies.sum)
            self._quantiles = latencies.quantiles or self._quantiles
            self._rates = (progress.arriving, progress.processed)
            self._progressed_at = self._clock()

    def idle(self) -> None:
        """Record that there was nothing to do."""
        with self._lock:
            self._rates = (0.0, 0.0)
            self._progressed_at = self._clock()

    def set_lag(self, lag: LagSnapshot | None) -> None:
        """Record the lag of the consumer group; None means unknown."""
        with self._lock:
            self._lag = lag

    def collect(self) -> Iterator[Metric]:
        """Return a consistent snapshot of all metrics."""
        with self._lock:
            families = [*self._about(), *self._counts(), *self._times(), *self._now()]
        yield from families

    def _about(self) -> Iterator[Metric]:
        yield gauge(
            "tidemill_info",
            "The job: its version and consumer group.",
            ("version", "group"),
            [((tidemill.__version__, self._group_id), 1)],
        )
        yield gauge(
            "tidemill_model_info",
            "The models of the job.",
            ("model", "version"),
            [((spec.name, spec.version), 1) for spec in self._specs],
        )

    def _counts(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "tidemill_messages", "Messages read from Kafka.", value=self._messages
        )
        results = CounterMetricFamily(
            "tidemill_results", "Messages that have a result.", labels=("model", "version")
        )
        dead_letters = CounterMetricFamily(
            "tidemill_dead_letters",
            "Messages that have a dead letter; no model where none was chosen.",
            labels=("error", "model", "version"),
        )
        for (model, error), count in sorted(self._outcomes.items(), key=str):
            name, _, version = (model or "").rpartition(":")
            if error is None:
                results.add_metric((name, version), count)
            else:
                dead_letters.add_metric((error, name, version), count)
        yield results
        yield dead_letters
        yield CounterMetricFamily(
            "tidemill_uncounted",
            "Messages read that had their outcome before, or lost its count with a worker.",
            value=self._uncounted,
        )

    def _times(self) -> Iterator[Metric]:
        durations = HistogramMetricFamily(
            "tidemill_batch_duration_seconds",
            "Seconds that a micro-batch took, by Spark's stages; triggerExecution is the whole.",
            labels=("stage",),
        )
        for stage, histogram in sorted(self._durations.items()):
            durations.add_metric((stage,), histogram.buckets(), histogram.sum)
        yield durations
        yield HistogramMetricFamily(
            "tidemill_latency_seconds",
            "Seconds from a message's Kafka timestamp to its outcome.",
            buckets=self._latency.buckets(),
            sum_value=self._latency.sum,
        )
        yield gauge(
            "tidemill_batch_latency_seconds",
            "The same, in the last micro-batch that had messages.",
            ("quantile",),
            [((str(q),), v) for q, v in zip(QUANTILES, self._quantiles, strict=False)],
        )

    def _now(self) -> Iterator[Metric]:
        arriving, processed = self._rates
        yield gauge(
            "tidemill_input_rows_per_second",
            "Messages that came a second, before the last micro-batch.",
            (),
            [((), arriving)],
        )
        yield gauge(
            "tidemill_processed_rows_per_second",
            "Messages that the last micro-batch went through a second.",
            (),
            [((), processed)],
        )
        yield gauge(
            "tidemill_lag_messages",
            "Messages in a partition that the consumer group has not finished.",
            ("topic", "partition"),
            [
                ((at.topic, str(at.partition)), at.lag)
                for at in (self._lag.partitions if self._lag else ())
            ],
        )
        yield gauge(
            "tidemill_held_back_messages",
            "Messages in a partition that open transactions of other producers hold back.",
            ("topic", "partition"),
            [
                ((at.topic, str(at.partition)), at.held_back)
                for at in (self._lag.partitions if self._lag else ())
            ],
        )
        if self._progressed_at is not None:
            yield gauge(
                "tidemill_last_progress_timestamp_seconds",
                "When a micro-batch was finished, or nothing was to do.",
                (),
                [((), self._progressed_at)],
            )
        yield gauge("tidemill_ready", "1 where /readyz says so.", (), [((), self._is_ready())])


def gauge(
    name: str,
    documentation: str,
    labels: Sequence[str],
    values: Iterable[tuple[Sequence[str], float]],
) -> GaugeMetricFamily:
    """Return a gauge with a value for each set of labels."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family
