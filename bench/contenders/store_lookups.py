"""Look keys up in this process: `store_lookups tidemill|sql URL ROWS`; see `timed_calls`."""

from __future__ import annotations

import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import psycopg

from bench.contenders import stored_rows, timed_calls
from tidemill.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

SQLITE = "sqlite:///"


def tidemill(url: str) -> Callable[[list[int]], list[Any]]:
    """Return our look-up, with the values of each row as a mapping."""
    store = Store(url)

    def look_up(keys: list[int]) -> list[Any]:
        return [row.values for row in store.get("features", keys).rows if row]

    return look_up


def sql(url: str) -> Callable[[list[int]], list[Any]]:
    """Return the look-up of a prepared statement in a table with a column for each feature."""
    if url.startswith(SQLITE):
        lite = sqlite3.connect(url.removeprefix(SQLITE))
        # A text for each number of keys, which the driver keeps prepared.
        texts = {count: statement(f"IN ({','.join('?' * count)})") for count in stored_rows.COUNTS}
        return lambda keys: lite.execute(texts[len(keys)], keys).fetchall()
    postgres = psycopg.connect(url, autocommit=True)
    many = statement("= ANY(%s)").encode()
    return lambda keys: postgres.execute(many, [keys], prepare=True).fetchall()


def statement(condition: str) -> str:
    """Return the statement for keys."""
    return f"SELECT * FROM plain WHERE {stored_rows.KEY} {condition}"  # noqa: S608 - no input


if __name__ == "__main__":
    ways = {"tidemill": tidemill, "sql": sql}
    timed_calls.answer(ways[sys.argv[1]](sys.argv[2]), int(sys.argv[3]))
