"""Spark's progress reports, read: pure functions over their JSON."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

# The next offset to read, by topic and partition.
Offsets: TypeAlias = dict[tuple[str, int], int]


def batch_id(progress: str) -> int:
    """Return the number of the micro-batch that a progress report is of."""
    return int(json.loads(progress)["batchId"])


def end_offsets(progress: str) -> Offsets:
    """Return the next offsets to read of every Kafka source of a progress report.

    Spark's `endOffset` is the first offset that the batch did not read, which is what Kafka's
    consumer groups commit: it is taken as it is.
    """
    return {
        (topic, int(partition)): int(offset)
        for source in json.loads(progress)["sources"]
        if str(source["description"]).startswith("KafkaV2[")
        for topic, partitions in _offsets(source["endOffset"]).items()
        for partition, offset in partitions.items()
    }


def _offsets(end: Any) -> dict[str, dict[str, int]]:  # noqa: ANN401 - JSON, maybe within JSON
    offsets: dict[str, dict[str, int]] = json.loads(end) if isinstance(end, str) else end or {}
    return offsets
