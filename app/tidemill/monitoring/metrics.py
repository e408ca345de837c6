"""The job's own metrics, counted on the driver from Spark's report of each micro-batch."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

import tidemill
from tidemill.models.host import Usage
from tidemill.monitoring.families import counter, gauge, histogram
from tidemill.monitoring.totals import Totals
from tidemill.streaming.progress import QUANTILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from tidemill.inference.route import Route
    from tidemill.kafka.lag import LagSnapshot
    from tidemill.streaming.progress import Progress


# The labels of a model.
MODEL = ("model", "version", "variant")


class JobMetrics(Collector):
    """The metrics with the prefix `tidemill_`; any thread may record or collect."""

    def __init__(
        self,
        group_id: str,
        routes: Sequence[Route],
        is_ready: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Store the job's identity; `clock` returns seconds since the epoch."""
        self._group_id = group_id
        self._variants = {
            variant.spec.id: (variant.spec.name, variant.spec.version, variant.name)
            for route in routes
            for variant in route.variants
        }
        self._is_ready = is_ready
        self._clock = clock
        self._lock = threading.Lock()
        self._totals = Totals.starting(self._variants)
        self._lag: LagSnapshot | None = None
        self._usage: Callable[[], Mapping[str, Usage]] = dict

    def record(self, progress: Progress) -> None:
        """Count a finished micro-batch."""
        with self._lock:
            self._totals.add(progress, self._clock())

    def idle(self) -> None:
        """Record that there was nothing to do."""
        with self._lock:
            self._totals.idle(self._clock())

    def set_lag(self, lag: LagSnapshot | None) -> None:
        """Record the lag of the consumer group; None means unknown."""
        with self._lock:
            self._lag = lag

    def set_usage(self, usage: Callable[[], Mapping[str, Usage]]) -> None:
        """Take what returns how often each model was loaded, and what it takes."""
        self._usage = usage

    def collect(self) -> Iterator[Metric]:
        """Return a consistent snapshot of all metrics."""
        with self._lock:
            families = [
                *self._identity(),
                *self._counts(),
                *self._models(),
                *self._times(),
                *self._current(),
            ]
        yield from families

    def _identity(self) -> Iterator[Metric]:
        yield gauge(
            "tidemill_info",
            "The job's version and consumer group.",
            ("version", "group"),
            [((tidemill.__version__, self._group_id), 1)],
        )
        yield gauge(
            "tidemill_model_info",
            "The job's models.",
            MODEL,
            [(labels, 1) for labels in self._variants.values()],
        )

    def _counts(self) -> Iterator[Metric]:
        yield counter(
            "tidemill_messages", "Messages read from Kafka.", (), [((), self._totals.messages)]
        )
        results, dead_letters = [], []
        for (model, error), count in sorted(self._totals.outcomes.items(), key=str):
            labels = self._variants.get(model or "", ("", "", ""))
            if error is None:
                results.append((labels, count))
            else:
                dead_letters.append(((error, *labels), count))
        yield counter("tidemill_results", "Messages with a result.", MODEL, results)
        yield counter(
            "tidemill_dead_letters",
            "Messages with a dead letter; the model is empty if none was chosen.",
            ("error", *MODEL),
            dead_letters,
        )
        yield counter(
            "tidemill_uncounted",
            "Messages whose outcome was written earlier, or whose count was lost with a worker.",
            (),
            [((), self._totals.uncounted)],
        )

    def _models(self) -> Iterator[Metric]:
        usage = self._usage()
        values = [(labels, usage.get(model, Usage())) for model, labels in self._variants.items()]
        yield counter(
            "tidemill_model_loads",
            "How often processes loaded a model.",
            MODEL,
            [(labels, one.loads) for labels, one in values],
        )
        yield counter(
            "tidemill_model_evictions",
            "How often processes dropped a model to make room for others.",
            MODEL,
            [(labels, one.evictions) for labels, one in values],
        )
        yield counter(
            "tidemill_model_load_seconds",
            "The time that the loads of a model took.",
            MODEL,
            [(labels, one.seconds) for labels, one in values],
        )
        yield gauge(
            "tidemill_model_memory_bytes",
            "The memory that a model takes in all processes; they share it if they can.",
            MODEL,
            [(labels, one.bytes) for labels, one in values],
        )

    def _times(self) -> Iterator[Metric]:
        yield histogram(
            "tidemill_batch_duration_seconds",
            "Duration of micro-batches by Spark's stage; triggerExecution is the total.",
            ("stage",),
            [((stage,), counts) for stage, counts in sorted(self._totals.durations.items())],
        )
        yield histogram(
            "tidemill_latency_seconds",
            "Time from a message's Kafka timestamp to its outcome.",
            (),
            [((), self._totals.latency)],
        )
        yield gauge(
            "tidemill_batch_latency_seconds",
            "Latency in the last micro-batch that had messages.",
            ("quantile",),
            [((str(q),), v) for q, v in zip(QUANTILES, self._totals.quantiles, strict=False)],
        )

    def _current(self) -> Iterator[Metric]:
        arriving, processed = self._totals.rates
        partitions = self._lag.partitions if self._lag else ()
        yield gauge(
            "tidemill_input_rows_per_second",
            "Messages per second that arrived before the last micro-batch.",
            (),
            [((), arriving)],
        )
        yield gauge(
            "tidemill_processed_rows_per_second",
            "Messages per second that the last micro-batch processed.",
            (),
            [((), processed)],
        )
        yield gauge(
            "tidemill_lag_messages",
            "Messages in a partition that the consumer group has not finished.",
            ("topic", "partition"),
            [((p.topic, str(p.partition)), p.lag) for p in partitions],
        )
        yield gauge(
            "tidemill_held_back_messages",
            "Messages in a partition that open transactions of other producers hold back.",
            ("topic", "partition"),
            [((p.topic, str(p.partition)), p.held_back) for p in partitions],
        )
        if self._totals.progressed_at is not None:
            yield gauge(
                "tidemill_last_progress_timestamp_seconds",
                "When the last micro-batch finished, or there was nothing to do.",
                (),
                [((), self._totals.progressed_at)],
            )
        yield gauge("tidemill_ready", "1 if /readyz succeeds.", (), [((), self._is_ready())])
