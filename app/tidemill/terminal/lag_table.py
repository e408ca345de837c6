"""How far the job is, as a table: now, and where it goes."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tidemill.kafka.lag import LagTrend, total, trends
from tidemill.terminal.responsive_table import ResponsiveTable
from tidemill.terminal.units import duration, per_second

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from tidemill.kafka.lag import LagSnapshot, PartitionLag


# Columns that a narrow screen does without, the first one first; the caption says where it goes.
GIVE_WAY = ("end", "committed", "rate /s", "catches up in")
HELD_BACK = (
    "they can be answered when their producer commits or aborts, or after its "
    "transaction.timeout.ms; kafka-transactions.sh find-hanging and abort end one that hangs"
)
# Columns of the screen that a partition's name takes at most, and has at least where it needs them.
LONGEST_NAME, SHORTEST_NAME = 40, 20


def lag_table(
    group: str,
    now: LagSnapshot,
    then: LagSnapshot | None = None,
    *,
    trouble: str | None = None,
    most: int | None = None,
) -> ResponsiveTable:
    """Lay out the partitions, with what moved since an earlier snapshot, and what that means.

    Where there are more than `most` of them, those with the largest lag are shown.
    """
    rows = list(zip(now.partitions, trends(now, then), strict=True))
    shown = _with_most_lag(rows, most)
    lines = list(caption(group, now, then))
    if hidden := len(rows) - len(shown):
        lines.insert(0, (f"{hidden:,} more partitions, with less lag", "dim"))
    if trouble:
        at = datetime.fromtimestamp(now.time).astimezone().strftime("%H:%M:%S")
        lines.append((f"as of {at}: {trouble}", "red"))
    together = total([trend for _, trend in rows])
    columns: dict[str, list[Text]] = {
        "partition": [*(Text(f"{p.topic}/{p.partition}") for p, _ in shown), Text("total")],
        "end": [*(Text(f"{p.end:,}") for p, _ in shown), Text()],
        "committed": [*(_committed(p) for p, _ in shown), Text()],
        "lag": [
            *(Text(f"{p.lag:,}", _colour(p, trend)) for p, trend in shown),
            Text(f"{together.lag:,}"),
        ],
        "waiting": [Text(duration(age)) for age in (*(p.age for p, _ in shown), now.age)],
        "rate /s": [Text(per_second(t.rate)) for t in (*(t for _, t in shown), together)],
        "catches up in": [Text(duration(t.catch_up)) for t in (*(t for _, t in shown), together)],
    }
    if now.held_back:
        columns["held back"] = [
            *(Text(f"{p.held_back:,}", "yellow" if p.held_back else "") for p, _ in shown),
            Text(f"{now.held_back:,}"),
        ]
    said = Text("\n").join(Text(line, style) for line, style in lines)
    return ResponsiveTable(
        partial(_table, Text(f"lag of the group {group}"), columns, said), GIVE_WAY
    )


def _table(
    title: Text, columns: Mapping[str, Sequence[Text]], said: Text, without: Container[str]
) -> Table:
    table = Table(title=title, caption=said, show_footer=True)
    table.title_justify = table.caption_justify = "left"
    names = columns["partition"]
    least = min(SHORTEST_NAME, max(name.cell_len for name in names))
    left = {name: cells for name, cells in columns.items() if name not in without}
    for name, (*_, footer) in left.items():
        if name == "partition":
            table.add_column(name, footer, overflow="fold", min_width=least, max_width=LONGEST_NAME)
        else:
            table.add_column(name, footer, justify="right", no_wrap=True)
    for row in list(zip(*left.values(), strict=True))[:-1]:
        table.add_row(*row)
    return table


def caption(group: str, now: LagSnapshot, then: LagSnapshot | None) -> Iterator[tuple[str, str]]:
    """Say in plain words what the numbers mean: lines, each with its colour."""
    if all(p.committed is None for p in now.partitions):
        yield f"nothing was committed by group {group} yet", "yellow"
    else:
        seconds = now.time - then.time if then else 0.0
        yield _movement(total(trends(now, then)), seconds, held_back=now.held_back)
    removed, beyond = Counter[str](), Counter[str]()
    for p in now.partitions:
        removed[p.topic] += p.expired
        beyond[p.topic] += p.past_end
    for topic, count in (+removed).items():
        yield f"{topic}: {count:,} messages were removed before they were answered", "red"
    if now.held_back:
        since = f", the first for {duration(now.held_for)}" if now.held_for is not None else ""
        yield f"{now.held_back:,} messages are held back by open transactions{since}", "yellow"
        yield HELD_BACK, "yellow"
    for topic in +beyond:
        yield f"{topic}: the group is beyond the end: was the topic made anew?", "red"


def _movement(trend: LagTrend, seconds: float, *, held_back: int) -> tuple[str, str]:
    if not trend.lag:
        return "at the end" + (" of what may be read yet" if held_back else ""), "green"
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


def _with_most_lag(
    rows: Sequence[tuple[PartitionLag, LagTrend]], most: int | None
) -> list[tuple[PartitionLag, LagTrend]]:
    if most is None:
        return list(rows)
    kept = sorted(range(len(rows)), key=lambda row: -rows[row][0].lag)[:most]
    return [rows[row] for row in sorted(kept)]


def _committed(partition: PartitionLag) -> Text:
    if partition.committed is None:
        return Text("never", "yellow")
    return Text(f"{partition.committed:,}")


def _colour(partition: PartitionLag, trend: LagTrend) -> str:
    if partition.expired or partition.past_end:
        return "bold red"
    if not partition.lag:
        return "green"
    behind = trend.rate is not None and trend.arriving is not None and trend.rate < trend.arriving
    return "red" if behind else "yellow"
