"""Parse Spark's progress reports (pure)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

# The next offset to read, by topic and partition.
Offsets: TypeAlias = dict[tuple[str, int], int]

# The name and the parameters of the metrics that Spark observes (`tidemill.streaming.observe`).
OBSERVATION = "tidemill"
QUANTILES = (0.5, 0.95, 0.99)
LATENCY_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
NO_COUNTS = (0,) * len(LATENCY_BUCKETS)


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from the messages' Kafka timestamps to their outcomes.

    `buckets` are the cumulative counts for LATENCY_BUCKETS; `quantiles` are those of QUANTILES, or
    empty.
    """

    count: int = 0
    sum: float = 0.0
    buckets: tuple[int, ...] = NO_COUNTS
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """Spark's report of a finished micro-batch.

    Attributes:
        batch: The micro-batch's number.
        messages: The number of messages read.
        offsets: The next offset to read of each partition of every Kafka source.
        behind: The topics with messages that Spark has not planned yet.
        durations: Seconds by stage; `triggerExecution` is the total.
        arriving: Messages per second that arrived since the last micro-batch.
        processed: Messages per second that this micro-batch processed.
        outcomes: The number of outcomes by model (`name:version`; None if no model was chosen) and
            error class (None for results).
        latencies: The messages' latencies.

    """

    batch: int
    messages: int = 0
    offsets: Offsets = field(default_factory=dict)
    behind: frozenset[str] = frozenset()
    durations: dict[str, float] = field(default_factory=dict)
    arriving: float = 0.0
    processed: float = 0.0
    outcomes: dict[tuple[str | None, str | None], int] = field(default_factory=dict)
    latencies: Latencies = Latencies()

    @property
    def results(self) -> int:
        """The number of results."""
        return sum(count for (_, error), count in self.outcomes.items() if error is None)

    @property
    def dead_letters(self) -> int:
        """The number of dead letters."""
        return sum(self.outcomes.values()) - self.results


def read(report: str) -> Progress:
    """Parse a progress report in Spark's JSON (`StreamingQueryProgress.json`).

    Spark's `endOffset` is the first offset that the batch did not read. Kafka's consumer groups
    commit the same, so it is used unchanged.
    """
    fields = json.loads(report)
    observed = (fields.get("observedMetrics") or {}).get(OBSERVATION) or {}
    offsets, latest = _offsets(fields, "endOffset"), _offsets(fields, "latestOffset")
    return Progress(
        batch=int(fields["batchId"]),
        messages=int(fields.get("numInputRows") or 0),
        offsets=offsets,
        behind=frozenset(tp[0] for tp, end in latest.items() if offsets.get(tp, 0) < end),
        durations={name: ms / 1000 for name, ms in (fields.get("durationMs") or {}).items()},
        arriving=float(fields.get("inputRowsPerSecond") or 0),
        processed=float(fields.get("processedRowsPerSecond") or 0),
        outcomes={
            _kind(entry["item"]): int(entry["count"]) for entry in observed.get("kinds") or ()
        },
        latencies=Latencies(
            count=int(observed.get("latency_count") or 0),
            sum=float(observed.get("latency_sum") or 0),
            buckets=tuple(observed.get("latency_buckets") or NO_COUNTS),
            quantiles=tuple(observed.get("latency_quantiles") or ()),
        ),
    )


def _offsets(fields: dict[str, Any], name: str) -> Offsets:
    return {
        (topic, int(partition)): int(offset)
        for source in fields["sources"]
        if str(source["description"]).startswith("KafkaV2[")
        for topic, partitions in _decoded(source.get(name)).items()
        for partition, offset in partitions.items()
    }


def _decoded(offsets: Any) -> dict[str, dict[str, int]]:  # noqa: ANN401 - JSON, or JSON in a string
    decoded: dict[str, dict[str, int]] = (
        json.loads(offsets) if isinstance(offsets, str) else offsets or {}
    )
    return decoded


def _kind(item: str) -> tuple[str | None, str | None]:
    kind = json.loads(item)
    return kind.get("model"), kind.get("error")
