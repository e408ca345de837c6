"""Compare our store with what was aimed for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.batch_tables import met
from bench.store_servers import OURS, PLAIN, PRECOMPUTED
from bench.store_swaps import LOADS, QUIET, SWAPS

if TYPE_CHECKING:
    from collections.abc import Iterator

WAYS = {"requests": "over HTTP", "calls": "in the process"}
LEAST_TIMES, MOST_TIMES = 5, 2


def targets(found: dict[str, Any]) -> Iterator[list[str]]:
    """Yield each target with its limit, what was measured, and whether that is met."""
    for name, part in found["parts"].items():
        for way, words in WAYS.items():
            figures = by_name(part[way])
            if (theirs := figures.get((PRECOMPUTED, 1))) is not None:
                ours = figures[OURS, 1]
                for each in ("p50", "p99"):
                    yield [
                        f"{name}, one row {words}: {each}, ms, against Feast's precomputed vectors",
                        f"below {theirs[each]:.3g}",
                        f"{ours[each]:.3g}",
                        met(ours[each] < theirs[each]),
                    ]
        yield from throughput(name, by_name(part["requests"]))
        quiet = part["swaps"][QUIET]["p99"]
        for situation in (SWAPS, LOADS):
            ratio = part["swaps"][situation]["p99"] / quiet
            yield [
                f"{name}, one row over HTTP: p99 {situation}, as a multiple of p99 {QUIET}",
                f"at most {MOST_TIMES}",
                f"{ratio:.2f}",
                met(ratio <= MOST_TIMES),
            ]


def throughput(name: str, figures: dict[tuple[str, int], dict[str, float]]) -> Iterator[list[str]]:
    """Yield how many times as much a core does as with Feast's server."""
    for (contender, keys), theirs in figures.items():
        if contender == PLAIN:
            ratio = theirs["CPU ms"] / figures[OURS, keys]["CPU ms"]
            yield [
                f"{name}, {keys_of(keys)} over HTTP: requests a core, as a multiple of Feast's",
                f"at least {LEAST_TIMES}",
                f"{ratio:.1f}",
                met(ratio >= LEAST_TIMES),
            ]


def by_name(figures: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, float]]:
    """Return figures by contender and number of keys."""
    return {(each["name"], each["keys"]): each for each in figures}


def keys_of(count: int) -> str:
    """Return a number of keys in words."""
    return "1 key" if count == 1 else f"{count} keys"
