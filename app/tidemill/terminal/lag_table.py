"""Render the lag as a table, with its trend."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tidemill.kafka.lag import total, trends
from tidemill.terminal.lag_caption import caption
from tidemill.terminal.responsive_table import ResponsiveTable
from tidemill.units import duration, per_second

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from tidemill.kafka.lag import LagSnapshot, LagTrend, PartitionLag

# Columns that a narrow terminal drops, in this order; the caption still tells the trend.
DROPPABLE_COLUMNS = ("end", "committed", "rate /s", "catches up in")
# The width of a partition's name, in terminal columns.
MAX_NAME, MIN_NAME = 40, 20


def lag_table(
    group: str,
    now: LagSnapshot,
    then: LagSnapshot | None = None,
    *,
    error: str | None = None,
    max_rows: int | None = None,
) -> ResponsiveTable:
    """Return a table of the partitions, with their trend since an earlier snapshot and a caption.

    If there are more than `max_rows` partitions, show those with the largest lag.
    """
    rows = list(zip(now.partitions, trends(now, then), strict=True))
    shown = _with_most_lag(rows, max_rows)
    lines = list(caption(group, now, then))
    if hidden := len(rows) - len(shown):
        lines.insert(0, (f"{hidden:,} more partitions, with less lag", "dim"))
    if error:
        clock = datetime.fromtimestamp(now.time).astimezone().strftime("%H:%M:%S")
        lines.append((f"as of {clock}: {error}", "red"))
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
    caption_text = Text("\n").join(Text(line, style) for line, style in lines)
    return ResponsiveTable(
        partial(_table, Text(f"lag of the group {group}"), columns, caption_text), DROPPABLE_COLUMNS
    )


def _table(
    title: Text, columns: Mapping[str, Sequence[Text]], caption_text: Text, without: Container[str]
) -> Table:
    table = Table(title=title, caption=caption_text, show_footer=True)
    table.title_justify = table.caption_justify = "left"
    names = columns["partition"]
    least = min(MIN_NAME, max(name.cell_len for name in names))
    left = {name: cells for name, cells in columns.items() if name not in without}
    for name, (*_, footer) in left.items():
        if name == "partition":
            table.add_column(name, footer, overflow="fold", min_width=least, max_width=MAX_NAME)
        else:
            table.add_column(name, footer, justify="right", no_wrap=True)
    for row in list(zip(*left.values(), strict=True))[:-1]:
        table.add_row(*row)
    return table


def _with_most_lag(
    rows: Sequence[tuple[PartitionLag, LagTrend]], max_rows: int | None
) -> list[tuple[PartitionLag, LagTrend]]:
    if max_rows is None:
        return list(rows)
    kept = sorted(range(len(rows)), key=lambda row: -rows[row][0].lag)[:max_rows]
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
