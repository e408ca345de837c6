"""The tables of bench/RESULTS.md about scale, memory and the number of models."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bench import plots
from bench.plots import picture
from faults.round_tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

TENTHS = (2, 4, 6, 8, 10)
# For each part of the scale: what varies, and what is measured.
SERIES = {
    "processes": ("model processes", "share of the possible rate"),
    "workers": ("executors", "share of the possible rate"),
    "skew": ("parallelism", "share of four executors kept busy"),
    "partitions": ("partitions", "messages a second"),
    "batch": ("messages in an Arrow batch", "messages a second"),
}


def series(name: str, unit: str, results: dict[str, float]) -> str:
    """Return a table with one row: a figure for each value of a parameter."""
    values = sorted(results, key=int)
    return table([name, *values], [[unit, *(results[value] for value in values)]])


def scale(results: dict[str, Any]) -> str:
    """Return a table for each parameter that grows."""
    plots.backlog(results["backlog"])
    backlog = []
    for delivery, samples in results["backlog"].items():
        backlog.append([delivery, *costs(samples), f"{max(sample[3] for sample in samples):,.0f}"])
    return "\n\n".join(
        [
            *(series(*SERIES[name], results[name]) for name in SERIES if name in results),
            table(
                ["CPU µs per message", *(f"{tenth}. tenth" for tenth in TENTHS), "MiB at most"],
                backlog,
            )
            + picture("backlog"),
        ]
    )


def costs(samples: Sequence[Sequence[float]]) -> list[str]:
    """Return the CPU time per message, in µs, in some tenths of a backlog."""
    total = samples[-1][1]
    columns = []
    for tenth in TENTHS:
        inside = [
            sample for sample in samples if (tenth - 1) / 10 <= sample[1] / total <= tenth / 10
        ]
        answered = inside[-1][1] - inside[0][1] if inside else 0
        used = inside[-1][2] - inside[0][2] if inside else 0.0
        columns.append(f"{1e6 * used / answered:.0f}" if answered else "")
    return columns


def memory(results: dict[str, Any]) -> str:
    """Return a row for each delivery and number of workers, and one for each kind of pool."""
    model, pools = results["model"], results.get("pool", {})
    jobs = {name: rows for name, rows in results.items() if name not in {"model", "pool"}}
    plots.memory(jobs, pools)
    rows = [
        [f"{name}, `local[{workers}]`", f"{fixed:.0f}", f"{full:.0f}"]
        for name, measured in jobs.items()
        for workers, fixed, full in measured
    ]
    parts = [
        f"The shipped models take {model:.0f} MiB in one process.",
        table(
            ["MiB (PSS) of a job's Python processes", "with a model of nothing", "shipped"], rows
        ),
        growth(jobs, "worker", model),
    ]
    if pools:
        numbers = [number for number, _ in next(iter(pools.values()))]
        rows = [[name, *(f"{mib:.0f}" for _, mib in pool)] for name, pool in pools.items()]
        parts += [table(["MiB (PSS) of a pool with models", *numbers], rows)]
        parts += [growth(pools, "process", model)]
    return "\n\n".join(parts) + picture("memory")


def catalogue(results: dict[str, Any]) -> str:
    """Return a table of files and one of routing, with a column for each number of models."""
    files = ["seconds", *(f"{models:,} models" for models in results["models"])]
    routing = ["µs", *(f"{routes:,} route{'s' * (routes > 1)}" for routes in results["routes"])]
    return "\n\n".join(
        [
            table(
                files, [[name, *(f"{one:.2f}" for one in row)] for name, *row in results["files"]]
            ),
            table(
                routing,
                [[name, *(f"{one:.1f}" for one in row)] for name, *row in results["routing"]],
            ),
        ]
    )


def growth(series: dict[str, list[list[float]]], unit: str, model: float) -> str:
    """Return a sentence for each series about its growth with the first column."""
    sentences = []
    for name, rows in series.items():
        line = statistics.linear_regression(*zip(*((row[0], row[-1]) for row in rows), strict=True))
        sentences.append(
            f"{name.capitalize()}: {line.intercept:.0f} MiB, and {line.slope:.0f} MiB more "
            f"({line.slope / model:.2f} times the models) for each {unit}."
        )
    return "\n".join(f"- {sentence}" for sentence in sentences)


def models(results: dict[str, dict[str, float]]) -> str:
    """Return a row for each way to load many models."""
    times = ("start s", "first answers s", "shared s")
    rows = [
        [way, f"{one['MiB']:.0f}", f"{one['CPU µs']:.0f}", *(f"{one[name]:.1f}" for name in times)]
        for way, one in results.items()
        if "CPU µs" in one
    ]
    head = ["models", "MiB", "CPU µs per message", "start, s", "first answers, s", "then shared, s"]
    alone = results["one model"]["MiB"]
    return f"{table(head, rows)}\n\nA pool with one such model takes {alone:.0f} MiB."
