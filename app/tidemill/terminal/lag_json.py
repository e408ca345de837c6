"""Render the lag as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidemill.kafka.lag import LagTrend, total, trends

if TYPE_CHECKING:
    from tidemill.kafka.lag import LagSnapshot, PartitionLag


def lag_document(
    group: str, now: LagSnapshot, then: LagSnapshot | None = None, *, error: str | None = None
) -> dict[str, Any]:
    """Return the table's content and more as a JSON document; unknown values are null."""
    each = trends(now, then)
    return {
        "group": group,
        "time": datetime.fromtimestamp(now.time, UTC).isoformat(timespec="milliseconds"),
        "partitions": [
            {
                "topic": p.topic,
                "partition": p.partition,
                "begin": p.begin,
                "end": p.end,
                "committed": p.committed,
                "passed_over": p.expired,
                **_trend(trend, p),
            }
            for p, trend in zip(now.partitions, each, strict=True)
        ],
        "total": _trend(total(each), now),
        "trouble": error,
    }


def _trend(trend: LagTrend, lag: PartitionLag | LagSnapshot) -> dict[str, float | None]:
    return {
        "lag": trend.lag,
        "age_seconds": lag.age,
        "held_back": lag.held_back,
        "held_back_seconds": lag.held_for,
        "rate": trend.rate,
        "arriving": trend.arriving,
        "catch_up_seconds": trend.catch_up,
    }
