"""The tables of bench/RESULTS.md about scale and memory."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bench import plots
from bench.plots import picture
from faults.round_tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

TENTHS = (2, 4, 6, 8, 10)


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
            series("executors", "share of the possible rate", results["workers"]),
            series("partitions", "messages a second", results["partitions"]),
            series("messages in an Arrow batch", "messages a second", results["batch"]),
            series("parallelism", "share of four workers kept busy", results["skew"]),
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
    """Return a row for each number of workers and each delivery."""
    plots.memory(results)
    model = results["model"]
    rows = [
        [
            f"{workers} workers, {name}",
            f"{fixed:.0f}",
            f"{full:.0f}",
            f"{(full - fixed) / model:.2f}",
        ]
        for name, lines in results.items()
        if name != "model"
        for workers, fixed, full in lines
    ]
    head = [
        "MiB (PSS) of all processes",
        "without models",
        "with",
        "difference, in times the models",
    ]
    lines = []
    for name in results.keys() - {"model"}:
        workers, _, full = zip(*results[name], strict=True)
        line = statistics.linear_regression(workers, full)
        lines.append(
            f"{name.capitalize()}: {line.intercept:.0f} MiB ({line.intercept / model:.2f} times the "
            f"models), and {line.slope:.0f} MiB more for each worker."
        )
    summary = f"The shipped models take {model:.0f} MiB in one process."
    return "\n\n".join([summary, table(head, rows), *sorted(lines, reverse=True)]) + picture(
        "memory"
    )
