"""Measure look-ups of one key through our server: alone, during swaps, and during loads.

The same swaps and loads in another store are the control: they need as much of the processors, but
have nothing to do with the rows that are looked up.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from bench import one_client
from bench.contenders import stored_rows
from bench.store_children import Child, ours, started
from bench.store_databases import another
from bench.store_lookup_times import percentiles

if TYPE_CHECKING:
    from bench.store_servers import Door
    from bench.store_size import Size

QUIET, SWAPS, LOADS = "alone", "during swaps", "during loads"
ELSEWHERE = "in another store"
# What writes in each situation, and whether it does so in another store.
WRITERS = {
    QUIET: (None, False),
    SWAPS: ("swaps", False),
    f"{SWAPS} {ELSEWHERE}": ("swaps", True),
    LOADS: ("loads", False),
    f"{LOADS} {ELSEWHERE}": ("loads", True),
}
# A load takes seconds, and its end counts too.
TIMES_AS_LONG = 3


def measure(door: Door, url: str, size: Size) -> dict[str, dict[str, float]]:
    """Return the percentiles in each situation, which take turns, and the number of swaps."""
    requests = [door.request(keys) for keys in stored_rows.wanted(size.rows, 1)]
    taken: dict[str, list[float]] = {situation: [] for situation in WRITERS}
    swaps = dict.fromkeys(WRITERS, 0)
    other = another(url)
    for _ in range(size.rounds):
        for situation, (writer, is_elsewhere) in WRITERS.items():
            command = ours("store_writer", writer, other if is_elsewhere else url, size.rows)
            with started(command) if writer else nullcontext() as child:
                seconds = size.seconds * TIMES_AS_LONG
                taken[situation] += one_client.times(door.port, requests, seconds)
                swaps[situation] += child.end() if isinstance(child, Child) else 0
    return {
        situation: {**percentiles(each), "swaps": swaps[situation]}
        for situation, each in taken.items()
    }
