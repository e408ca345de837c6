"""Spark's progress reports, read: pure functions over their JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

# The next offset to read, by topic and partition.
Offsets: TypeAlias = dict[tuple[str, int], int]

# What the job has Spark observe of each micro-batch (`tidemill.streaming.observe`).
OBSERVATION = "tidemill"
QUANTILES = (0.5, 0.95, 0.99)
LATENCY_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
NO_COUNTS = (0,) * len(LATENCY_BUCKETS)


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from the messages' Kafka timestamps to their outcomes.

    `buckets` counts those within each of LATENCY_BUCKETS, the larger ones with the smaller;
    `quantiles` are those of QUANTILES, or empty.
    """

    count: int = 0
    sum: float = 0.0
    buckets: tuple[int, ...] = NO_COUNTS
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What Spark reports of a finished micro-batch.

    Attributes:
        batch: Its number.
        messages: How many it read.
        offsets: The next offsets to read, of all partitions of every Kafka source.
        behind: The topics that had messages which Spark had not planned yet.
        durations: Seconds by stage; `triggerExecution` is the whole.
        arriving: Messages a second that came since the last micro-batch.
        processed: Messages a second that this one went through.
        outcomes: How many there are by model (`name:version`, where one was chosen) and error
            class (None for results).
        latencies: How long the messages took.

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
        """How many results."""
        return sum(count for (_, error), count in self.outcomes.items() if error is None)

    @property
    def dead_letters(self) -> int:
        """How many dead letters."""
        return sum(self.outcomes.values()) - self.results


def read(report: str) -> Progress:
    """Read a progress report, Spark's JSON (`StreamingQueryProgress.json`).

    Spark's `endOffset` is the first offset that the batch did not read, which is what Kafka's
    consumer groups commit: it is taken as it is.
    """
    fields = json.loads(report)
    observed = (fields.get("observedMetrics") or {}).get(OBSERVATION) or {}
    offsets, latest = _offsets(fields, "endOffset"), _offsets(fields, "latestOffset")
    return Progress(
        batch=int(fields["batchId"]),
        messages=int(fields.get("numInputRows") or 0),
        offsets=offsets,
        behind=frozenset(at[0] for at, end in latest.items() if offsets.get(at, 0) < end),
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


def _decoded(offsets: Any) -> dict[str, dict[str, int]]:  # noqa: ANN401 - JSON, maybe within JSON
    decoded: dict[str, dict[str, int]] = (
        json.loads(offsets) if isinstance(offsets, str) else offsets or {}
    )
    return decoded


def _kind(item: str) -> tuple[str | None, str | None]:
    kind = json.loads(item)
    return kind.get("model"), kind.get("error")
