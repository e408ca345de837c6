"""How far the job is, as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidemill.kafka.lag import LagTrend, total, trends

if TYPE_CHECKING:
    from tidemill.kafka.lag import LagSnapshot, PartitionLag


def lag_document(
    group: str, now: LagSnapshot, then: LagSnapshot | None = None, *, trouble: str | None = None
) -> dict[str, Any]:
    """Return what the table shows, and more, as JSON holds it; null is what is not known."""
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
                **_moving(trend, p),
            }
            for p, trend in zip(now.partitions, each, strict=True)
        ],
        "total": _moving(total(each), now),
        "trouble": trouble,
    }


def _moving(trend: LagTrend, at: PartitionLag | LagSnapshot) -> dict[str, float | None]:
    return {
        "lag": trend.lag,
        "age_seconds": at.age,
        "held_back": at.held_back,
        "held_back_seconds": at.held_for,
        "rate": trend.rate,
        "arriving": trend.arriving,
        "catch_up_seconds": trend.catch_up,
    }
