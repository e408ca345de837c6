"""Render what is in the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from rich.table import Table
from rich.text import Text

from tidemill.errors import InvalidSelection
from tidemill.terminal.escape import printable_json, visible
from tidemill.units import duration, moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.store.reader import StoreRow
    from tidemill.store.stats import TableStats
    from tidemill.store.table import Key


def row_line(key: Key, row: StoreRow | None, generation: int) -> str:
    """Return a line of JSON with what was found for a key."""
    line = {
        "key": key,
        "values": msgspec.Raw(row.data.encode()) if row else None,
        "time": moment(row.time) if row else None,
        "version": row.version if row else None,
        "generation": generation,
    }
    return printable_json(msgspec.json.encode(line).decode())


def stats_line(stats: TableStats) -> str:
    """Return a line of JSON about a table."""
    line = {
        "table": stats.name,
        "live": stats.live.number if stats.live else None,
        "rows": stats.rows,
        "generations": [
            {
                "generation": each.number,
                "state": each.state,
                "rows": each.rows,
                "source": each.source,
                "created": moment(each.created),
                "swapped": moment(each.swapped) if each.swapped else None,
            }
            for each in stats.generations
        ],
        "positions": stats.positions,
    }
    return printable_json(msgspec.json.encode(line).decode())


def stats_table(listed: Iterable[TableStats], now: float) -> Table:
    """Return a table with a row for each generation; of the live one the rows are counted."""
    table = Table()
    for name in ("table", "generation", "state", "rows", "age", "from"):
        table.add_column(name, justify="right" if name in {"generation", "rows", "age"} else "left")
    for stats in listed:
        for each in stats.generations:
            live = each.number == (stats.live.number if stats.live else None)
            rows = stats.rows if live and stats.rows is not None else each.rows
            table.add_row(
                stats.name,
                str(each.number),
                Text(each.state, "green" if live else ""),
                f"{rows:,}",
                duration(now - each.created / 1000),
                Text(visible(each.source or "")),
            )
        for source, position in stats.positions.items():
            table.add_row(
                stats.name, "", "stream", "", "", Text(f"{visible(source)} up to {position:,}")
            )
    return table


def read_time(text: str) -> int:
    """Return a time that ISO 8601 spells, in milliseconds since 1970; without a zone it is UTC.

    Raises:
        InvalidSelection: It is no time.

    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidSelection(text[:50], "a time", "Write it as 2026-11-24T05:49:01Z.") from None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
