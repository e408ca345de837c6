"""`make bench`: measure, and write bench/RESULTS.md and its plots."""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from bench import (
    batch,
    catalogue,
    forecast,
    latency,
    latency_floor,
    many_models,
    memory,
    report,
    results,
    scale,
    schemas,
    serving,
    skew,
    store,
    task_turns,
    tasks,
    throughput,
)
from bench.store_size import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTS = (
    "throughput",
    "skew",
    "latency",
    "floor",
    "scale",
    "memory",
    "models",
    "schemas",
    "catalogue",
    "serving",
    "forecast",
    "batch",
    "store",
    "tasks",
)


def main() -> int:
    """Measure the parts that the arguments name, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--texts", type=int, default=11_500, help="backlog for throughput")
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds of throughput and skew to add"
    )
    parser.add_argument(
        "--only", action="append", help="contender for throughput; repeatable (default: all)"
    )
    parser.add_argument(
        "--seconds", type=float, default=60, help="duration of each load for latency"
    )
    parser.add_argument("--models", type=int, default=1400, help="fitted models for forecast")
    parser.add_argument(
        "--rows",
        type=int,
        default=100_000,
        help="rows to look up for store; PostgreSQL has a fifth",
    )
    parser.add_argument("--load", type=int, default=10_000_000, help="rows to load for store")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    console = Console()
    rounds: dict[str, Callable[[], Iterator[dict[str, float]]]] = {
        "throughput": lambda: throughput.measure(args.texts, args.only or (), console),
        "skew": lambda: skew.measure(args.texts, console),
    }
    others: dict[str, Callable[[], object]] = {
        "latency": lambda: latency.measure(args.seconds, console),
        "floor": lambda: latency_floor.measure(console),
        "scale": lambda: scale.measure(console),
        "memory": lambda: memory.measure(console),
        "models": lambda: many_models.measure(console),
        "schemas": lambda: schemas.measure(console),
        "catalogue": lambda: catalogue.measure(console),
        "serving": lambda: serving.measure(console),
        "forecast": lambda: forecast.measure(args.models, console),
        "batch": lambda: batch.measure(console),
        "store": lambda: store.measure(
            console, Size(rows=args.rows, postgres_rows=args.rows // 5, loaded=args.load)
        ),
        "tasks": lambda: tasks.measure(console, task_turns.Size()),
    }
    for part in args.parts or PARTS:
        console.rule(part)
        if part in rounds:
            for rates in itertools.islice(rounds[part](), args.rounds):
                results.add_round(part, {"texts": args.texts, "rates": rates})
                report.write()
        else:
            results.replace(part, others[part]())
            report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
