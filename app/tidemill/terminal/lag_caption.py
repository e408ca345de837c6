"""Say in words what the lag's numbers mean."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tidemill.kafka.lag import LagTrend, total, trends
from tidemill.units import duration, per_second

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.kafka.lag import LagSnapshot

HELD_BACK = (
    "they can be read once their producer commits or aborts, or after its transaction.timeout.ms; "
    "`kafka-transactions.sh find-hanging` and `abort` end a hanging transaction"
)


def caption(group: str, now: LagSnapshot, then: LagSnapshot | None) -> Iterator[tuple[str, str]]:
    """Yield the lines of the caption, each with its colour: what the numbers mean."""
    if all(p.committed is None for p in now.partitions):
        yield f"the group {group} has not committed anything yet", "yellow"
    else:
        seconds = now.time - then.time if then else 0.0
        yield _movement(total(trends(now, then)), seconds, held_back=now.held_back)
    removed, past_end = Counter[str](), Counter[str]()
    for p in now.partitions:
        removed[p.topic] += p.expired
        past_end[p.topic] += p.past_end
    for topic, count in (+removed).items():
        yield f"{topic}: Kafka removed {count:,} messages before they were answered", "red"
    if now.held_back:
        since = f", the first for {duration(now.held_for)}" if now.held_for is not None else ""
        yield f"open transactions hold back {now.held_back:,} messages{since}", "yellow"
        yield HELD_BACK, "yellow"
    for topic in +past_end:
        yield f"{topic}: the group is past the end; was the topic created again?", "red"


def _movement(trend: LagTrend, seconds: float, *, held_back: int) -> tuple[str, str]:
    if not trend.lag:
        return "caught up" + (" with what can be read yet" if held_back else ""), "green"
    if trend.catch_up is not None:
        return f"catches up in {duration(trend.catch_up)}", "green"
    if trend.rate is None or trend.arriving is None:
        return f"{trend.lag:,} messages are waiting", "yellow"
    arriving, answered = per_second(trend.arriving), per_second(trend.rate)
    if trend.rate < trend.arriving:
        return f"falls behind: {arriving}/s arrive, {answered}/s are answered", "red"
    if trend.rate:
        return f"keeps its distance: {arriving}/s arrive, {answered}/s are answered", "yellow"
    return f"nothing was answered in the last {duration(seconds)}", "yellow"
