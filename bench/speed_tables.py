"""The tables of bench/RESULTS.md about throughput, latency and schemas."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bench import plots
from bench.contenders.table import CONTENDERS
from bench.latency_floor import PHASES, STEPS
from bench.plots import picture
from bench.skew import SHAPES, run_name
from bench.throughput import LIMIT, TIDEMILL
from faults.figures import median_interval
from faults.round_tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARES = ("p50", "p95", "p99")
ABOUT = {
    LIMIT: "the limit: `nlp.pipe` over the texts, one process per core; no Kafka, no JSON",
    "Tidemill": "the shipped job",
    "Tidemill, exactly-once": "the shipped job with `delivery: exactly-once`",
    **{one.name: one.about for one in CONTENDERS},
}


def ratios(rounds: Sequence[dict[str, Any]], to: str) -> dict[str, tuple[float, float, float]]:
    """Return each contender's rate relative to another's in the same round: median and range."""
    pairs: dict[str, list[float]] = {}
    for one in rounds:
        rates = one["rates"]
        for name, rate in rates.items():
            if to in rates:
                pairs.setdefault(name, []).append(rate / rates[to])
    return {name: median_interval(shares) for name, shares in pairs.items()}


def format_range(spread: tuple[float, float, float]) -> str:
    """Format a median with its range."""
    median, low, high = spread
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def throughput(rounds: Sequence[dict[str, Any]]) -> str:
    """Return a row for each contender, the fastest first."""
    limit, ours = ratios(rounds, LIMIT), ratios(rounds, "Tidemill")
    limit = dict(sorted(limit.items(), key=lambda item: item[1], reverse=True))
    plots.shares({name: share for name, share in limit.items() if name != LIMIT}, "throughput.png")
    rows = []
    for name in limit:
        rates = [one["rates"][name] for one in rounds if name in one["rates"]]
        median, *_ = median_interval(rates)
        times = f"{1 / ours[name][0]:.2f}" if name in ours else ""
        bold = f"**{name}**" if name in TIDEMILL else name
        rows.append(
            [
                f"{bold}: {ABOUT[name]}",
                len(rates),
                f"{median:.0f}",
                format_range(limit[name]),
                times,
            ]
        )
    head = [
        "contender",
        "rounds",
        "messages a second",
        "share of the limit",
        "Tidemill is … times as fast",
    ]
    return table(head, rows) + picture("throughput")


def skew(rounds: Sequence[dict[str, Any]]) -> str:
    """Return a row for each shape of the topic, and delivery."""
    limit = ratios(rounds, LIMIT)
    names = [run_name(shape, delivery) for shape in SHAPES for delivery in TIDEMILL.values()]
    shares = {name: limit[name] for name in names if name in limit}
    plots.shares(shares, "skew.png")
    rows = []
    for name, share in shares.items():
        rates = [one["rates"][name] for one in rounds if name in one["rates"]]
        rows.append([name, len(rates), f"{statistics.median(rates):.0f}", format_range(share)])
    head = ["partitions and delivery", "rounds", "messages a second", "share of the limit"]
    return table(head, rows) + picture("skew")


def latency(results: dict[str, Any]) -> str:
    """Return a row for each delivery and load."""
    plots.latency(results)
    rows = [
        [
            f"{delivery}, {float(load):.0%} of {measured['model_rate']:.0f} a second",
            figures["messages"],
            *(f"{figures[of][name]:.0f}" for of in ("waits", "over the model") for name in SHARES),
        ]
        for delivery, measured in results.items()
        for load, figures in measured["loads"].items()
    ]
    head = ["ms from message to result", "messages", *SHARES, *(f"{name} over" for name in SHARES)]
    return table(head, rows) + picture("latency")


def floor(results: dict[str, dict[str, float]]) -> str:
    """Return a row for each step."""
    rows = [
        [name, *(f"{step[key]:.0f}" for key in ("p50", "p95", *PHASES))]
        for name, step in ((name, results[name]) for name in STEPS)
    ]
    return table(["ms", "p50", "p95", *PHASES], rows)


def schemas(results: dict[str, Any]) -> str:
    """Return a row for each way to check a message."""
    header = ["CPU µs per message", *(f"{fields} fields" for fields in results["fields"])]
    return table(
        header, [[name, *(f"{one:.1f}" for one in took)] for name, *took in results["rows"]]
    )


def serving(results: dict[str, Any]) -> str:
    """Return a row for each server, model and number of connections, and a line about the kills."""
    head = ["server", "model", "connections", "requests/s", "p50, ms", "p99, ms", "CPU ms", "front"]
    rows = [
        [server, model, f"{connections}", f"{rate:,.0f}", *(f"{one:.1f}" for one in times), *cpu]
        for server, model, connections, rate, *times, total, front in results["rows"]
        for cpu in [[f"{total:.3f}", f"{front:.3f}"]]
    ]
    kills = results["kills"]
    return table(head, rows) + (
        f"\n{kills['kills']} kills of model processes under load: {kills['failed']} of "
        f"{kills['requests']:,} requests failed.\n"
    )
