"""Time look-ups of all contenders, which take turns."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bench import http_load, one_client
from bench.backlog import TICK
from bench.contenders import stored_rows
from bench.store_databases import total_cpu

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.store_children import Child
    from bench.store_databases import Database
    from bench.store_servers import Door
    from bench.store_size import Size

WARM_UP_S, CONNECTIONS = 0.5, 8


class Taken:
    """The look-ups of one contender with one number of keys."""

    def __init__(self) -> None:
        """Begin with none."""
        self.one_by_one: list[float] = []  # seconds of each
        self.measured = 0  # look-ups whose CPU time and duration are known
        self.cpu = self.seconds = 0.0

    def add(self, measured: int, cpu: float, seconds: float) -> None:
        """Add look-ups, the CPU time of all processes that answer, and how long that took."""
        self.measured += measured
        self.cpu += cpu
        self.seconds += seconds

    def figures(self) -> dict[str, float]:
        """Return the percentiles, the rate, and the CPU time of each look-up.

        The CPU time of other processes comes in ticks of the kernel's clock, so that less than one
        tick counts as one.
        """
        return {
            **percentiles(self.one_by_one),
            "rate": self.measured / self.seconds,
            "CPU ms": 1000 * max(self.cpu, TICK) / self.measured,
        }


def percentiles(taken: Sequence[float]) -> dict[str, float]:
    """Return p50 and p99 in milliseconds."""
    ordered = sorted(taken)
    return {
        name: 1000 * ordered[int(share * len(ordered))]
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }


def calls(children: Mapping[str, Child], database: Database, size: Size) -> list[dict[str, Any]]:
    """Return the figures of look-ups by processes that use the database themselves."""
    found: dict[tuple[str, int], Taken] = defaultdict(Taken)
    for child in children.values():
        child.ask(1, WARM_UP_S)
    for count in stored_rows.COUNTS * size.rounds:
        for name, child in children.items():
            used = database.cpu
            seconds, own = child.ask(count, size.seconds)
            taken = found[name, count]
            taken.one_by_one += seconds
            taken.add(len(seconds), own + database.cpu - used, sum(seconds))
    return listed(found)


def requests(doors: Sequence[Door], database: Database, size: Size) -> list[dict[str, Any]]:
    """Return the figures of requests to servers: percentiles of one client, rates of several."""
    found: dict[tuple[str, int], Taken] = defaultdict(Taken)
    wanted = {count: stored_rows.wanted(size.rows, count) for count in stored_rows.COUNTS}
    for door in doors:
        one_client.times(door.port, [door.request(keys) for keys in wanted[1]], WARM_UP_S)
    for count in stored_rows.COUNTS * size.rounds:
        for door in doors:
            contents = [door.request(keys) for keys in wanted[count]]
            taken = found[door.name, count]
            taken.one_by_one += one_client.times(door.port, contents, size.seconds)
            used = database.cpu + total_cpu(door.pid)
            answered, failed = http_load.send(door.port, contents, CONNECTIONS, size.seconds)
            assert not failed, f"{failed} requests to {door.name} failed"
            cpu = database.cpu + total_cpu(door.pid) - used
            taken.add(len(answered), cpu, size.seconds)
    return listed(found)


def listed(found: Mapping[tuple[str, int], Taken]) -> list[dict[str, Any]]:
    """Return the figures with what they are of."""
    return [
        {"name": name, "keys": count, **taken.figures()} for (name, count), taken in found.items()
    ]
