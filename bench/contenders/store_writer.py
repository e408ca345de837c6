"""Write to our store in a process of its own.

`store_writer rows URL ROWS` loads the rows for look-ups, `store_writer load URL ROWS FEATURES` rows
that are quickly made; both print JSON. `store_writer swaps|loads URL ROWS` makes two generations
live in turns, or loads new ones, until standard input ends; then it prints how many.
"""

from __future__ import annotations

import json
import select
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from bench.contenders import stored_rows
from tidemill.store.store import Store
from tidemill.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE, BETWEEN_S = "features", 0.2


def table(name: str, count: int, keep: int) -> Table:
    """Describe a table with so many features."""
    columns = {stored_rows.KEY: "integer", **dict.fromkeys(stored_rows.names(count), "number")}
    return Table(name, (stored_rows.KEY,), columns, keep=keep)  # type: ignore[arg-type] # literals


def rows(count: int) -> Iterator[bytes]:
    """Yield the rows for look-ups as JSON."""
    names = stored_rows.names()
    for key in range(count):
        values = dict(zip(names, stored_rows.values(key), strict=True))
        yield msgspec.json.encode({stored_rows.KEY: key, **values})


def load(store: Store, into: Table, content: Iterator[bytes]) -> dict[str, float]:
    """Load a generation; return what that took."""
    begin, used = time.perf_counter(), time.process_time()
    loaded = store.load(into, content)
    cpu, seconds = time.process_time() - used, time.perf_counter() - begin
    return {"rows": loaded.rows, "s": seconds, "CPU s": cpu}


def repeat(action: Callable[[int], object], between: float) -> int:
    """Act at least once, and then until standard input ends; return how often."""
    print("ready", flush=True)
    count, is_over = 0, False
    while not is_over:
        action(count)
        count += 1
        is_over = bool(select.select([sys.stdin], [], [], between)[0])
    return count


def main(what: str, url: str, count: int, features: int = stored_rows.FEATURES) -> object:
    """Do what the arguments say; return what to print."""
    described = table(TABLE, features, keep=1)
    with Store(url) as store:
        if what == "rows":
            return load(store, described, rows(count))
        if what == "load":
            return load(store, table("loaded", features, 0), stored_rows.lines(count, features))
        if what == "loads":
            return repeat(lambda _: store.load(described, stored_rows.lines(count, features)), 0)
        for _ in range(2):
            live = store.load(described, stored_rows.lines(count, features)).generation
        return repeat(lambda done: store.swap(TABLE, live - (done + 1) % 2), BETWEEN_S)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))))
