"""`make bench`: measure, and write bench/RESULTS.md and its plots."""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from bench import latency, latency_floor, memory, report, results, scale, throughput

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = ("throughput", "latency", "floor", "scale", "memory")


def main() -> int:
    """Measure the parts that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all where none is")
    parser.add_argument("--texts", type=int, default=11_500, help="that wait for throughput")
    parser.add_argument(
        "--rounds", type=int, default=5, help="of throughput, added to those before"
    )
    parser.add_argument("--only", action="append", help="a contender, instead of all")
    parser.add_argument("--seconds", type=float, default=60, help="for each load of latency")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    console = Console()
    others: dict[str, Callable[[], object]] = {
        "latency": lambda: latency.measure(asked.seconds, console),
        "floor": lambda: latency_floor.measure(console),
        "scale": lambda: scale.measure(console),
        "memory": lambda: memory.measure(console),
    }
    for part in asked.parts or PARTS:
        console.rule(part)
        if part == "throughput":
            rounds = throughput.measure(asked.texts, asked.only or (), console)
            for found in itertools.islice(rounds, asked.rounds):
                results.keep_round({"texts": asked.texts, "rates": found})
                report.write()
        else:
            results.keep(part, others[part]())
            report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
