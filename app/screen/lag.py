"""How far the job is, as a table or as JSON: now, and where it goes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from app.monitoring.snapshot import Trend, total, trends
from app.screen.quantities import duration, per_second

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.monitoring.snapshot import PartitionLag, Snapshot


def lag_table(
    group: str,
    now: Snapshot,
    then: Snapshot | None = None,
    *,
    trouble: str | None = None,
    most: int | None = None,
) -> Table:
    """Lay out the partitions, with what moved since an earlier snapshot, and what that means.

    Where there are more than `most` of them, those with the largest lag are shown.
    """
    rows = list(zip(now.partitions, trends(now, then), strict=True))
    together = total([trend for _, trend in rows])
    title = Text(f"lag of the group {group}")  # as Text, as names are no markup
    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("partition", "total", overflow="fold")
    for name, footer in (
        ("end", ""),
        ("committed", ""),
        ("lag", f"{together.lag:,}"),
        ("waiting", duration(now.age)),
        ("rate /s", per_second(together.rate)),
        ("catches up in", duration(together.catch_up)),
    ):
        table.add_column(name, footer, justify="right", no_wrap=True)
    shown = _with_most_lag(rows, most)
    for p, trend in shown:
        table.add_row(
            Text(f"{p.topic}/{p.partition}"),
            f"{p.end:,}",
            Text("never", "yellow") if p.committed is None else f"{p.committed:,}",
            Text(f"{p.lag:,}", _colour(p, trend)),
            duration(p.age),
            per_second(trend.rate),
            duration(trend.catch_up),
        )
    lines = list(caption(group, now, then))
    if hidden := len(rows) - len(shown):
        lines.insert(0, (f"{hidden:,} more partitions, with less lag", "dim"))
    if trouble:
        at = datetime.fromtimestamp(now.time).astimezone().strftime("%H:%M:%S")
        lines.append((f"as of {at}: {trouble}", "red"))
    table.caption = Text("\n").join(Text(said, style) for said, style in lines)
    table.caption_justify = "left"
    return table


def caption(group: str, now: Snapshot, then: Snapshot | None) -> Iterator[tuple[str, str]]:
    """Say in plain words what the numbers mean: lines, each with its colour."""
    if not now.partitions:
        yield "there is no input topic, or no right to see it", "red"
    elif all(p.committed is None for p in now.partitions):
        yield f"nothing was committed by group {group} yet", "yellow"
    else:
        yield _movement(total(trends(now, then)), now.time - then.time if then else 0.0)
    removed, beyond = Counter[str](), Counter[str]()
    for p in now.partitions:
        removed[p.topic] += p.passed_over
        beyond[p.topic] += p.beyond
    for topic, count in (+removed).items():
        yield f"{topic}: {count:,} messages were removed before they were answered", "red"
    for topic in +beyond:
        yield f"{topic}: the group is beyond the end: was the topic made anew?", "red"


def _movement(trend: Trend, seconds: float) -> tuple[str, str]:
    if not trend.lag:
        return "at the end", "green"
    if trend.catch_up is not None:
        return f"catches up in {duration(trend.catch_up)}", "green"
    if trend.rate is None or trend.arriving is None:
        return f"{trend.lag:,} messages wait", "yellow"
    come, answered = per_second(trend.arriving), per_second(trend.rate)
    if trend.rate < trend.arriving:
        return f"falls behind: {come}/s come, {answered}/s are answered", "red"
    if trend.rate:
        return f"neither gains nor loses: {come}/s come, {answered}/s are answered", "yellow"
    return f"nothing was answered in the last {duration(seconds)}", "yellow"


def lag_document(
    group: str, now: Snapshot, then: Snapshot | None = None, *, trouble: str | None = None
) -> dict[str, Any]:
    """Return the same as JSON holds it; null is what is not known."""
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
                "passed_over": p.passed_over,
                **_moving(trend, p.age),
            }
            for p, trend in zip(now.partitions, each, strict=True)
        ],
        "total": _moving(total(each), now.age),
        "trouble": trouble,
    }


def _moving(trend: Trend, age: float | None) -> dict[str, float | None]:
    return {
        "lag": trend.lag,
        "age_seconds": age,
        "rate": trend.rate,
        "arriving": trend.arriving,
        "catch_up_seconds": trend.catch_up,
    }


def _with_most_lag(
    rows: Sequence[tuple[PartitionLag, Trend]], most: int | None
) -> list[tuple[PartitionLag, Trend]]:
    if most is None:
        return list(rows)
    kept = sorted(range(len(rows)), key=lambda row: -rows[row][0].lag)[:most]
    return [rows[row] for row in sorted(kept)]


def _colour(partition: PartitionLag, trend: Trend) -> str:
    if partition.passed_over or partition.beyond:
        return "bold red"
    if not partition.lag:
        return "green"
    behind = trend.rate is not None and trend.arriving is not None and trend.rate < trend.arriving
    return "red" if behind else "yellow"
