"""Draw the plots of bench/RESULTS.md."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from bench.contenders.table import CONTENDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    Rows = Sequence[Sequence[float]]

FOLDER = Path(__file__).parent
OURS, OTHERS = "tab:blue", "tab:gray"
CONTENDER_NAMES = {contender.name for contender in CONTENDERS}


def save(figure: Figure, name: str) -> None:
    """Write a plot to a file."""
    figure.tight_layout()
    figure.savefig(FOLDER / name, dpi=110)
    plt.close(figure)


def shares(ratios: Mapping[str, tuple[float, float, float]], file: str) -> None:
    """Draw each share of the limit, with median and range, from top to bottom."""
    figure, axis = plt.subplots(figsize=(8, 0.4 * len(ratios) + 1))
    for row, (name, (median, low, high)) in enumerate(ratios.items()):
        color = OTHERS if name in CONTENDER_NAMES else OURS
        axis.barh(row, median, color=color)
        axis.plot([low, high], [row, row], color="black", lw=1)
    axis.set_yticks(range(len(ratios)), list(ratios))
    axis.invert_yaxis()
    axis.axvline(1, color="black", lw=1, ls=":")
    axis.set_xlabel("throughput, as a share of nlp.pipe alone on the same cores")
    save(figure, file)


def latency(found: Mapping[str, Any]) -> None:
    """Draw percentiles over load, for each delivery."""
    figure, axes = plt.subplots(1, len(found), sharey=True, figsize=(8, 3.2), squeeze=False)
    for axis, (delivery, one) in zip(axes[0], found.items(), strict=True):
        for name in ("p50", "p95", "p99"):
            loads = [f"{100 * float(load):.0f}%" for load in one["loads"]]
            waits = [figures["waits"][name] for figures in one["loads"].values()]
            axis.plot(loads, waits, marker="o", label=name)
        axis.set_title(delivery, fontsize=9)
        axis.set_xlabel("load, as a share of the model's own rate", fontsize=9)
    axes[0][0].set_ylim(bottom=0)  # of all axes, when all lines are drawn
    axes[0][0].set_ylabel("ms from message to result")
    axes[0][0].legend()
    save(figure, "latency.png")


def backlog(found: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Draw CPU time per message, and memory, over the number of answered messages."""
    figure, (cost, memory) = plt.subplots(2, sharex=True, figsize=(8, 5))
    for delivery, samples in found.items():
        steps = [
            (after[1], 1e6 * (after[2] - before[2]) / (after[1] - before[1]))
            for before, after in zip(samples[::5], samples[5::5], strict=False)
            if after[1] > before[1]
        ]
        cost.plot(*zip(*steps, strict=True), label=delivery, lw=1)
        memory.plot([sample[1] for sample in samples], [sample[3] for sample in samples], lw=1)
    cost.set_ylabel("CPU µs per message")
    memory.set_ylabel("MiB (PSS) of the job")
    memory.set_xlabel("messages answered")
    for axis in (cost, memory):
        axis.set_ylim(bottom=0)
    cost.legend()
    save(figure, "backlog.png")


def memory(jobs: Mapping[str, Rows], pools: Mapping[str, Rows]) -> None:
    """Draw jobs over the number of workers, and pools over the number of their processes."""
    figure, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(8, 3.2))
    for axis, series, unit in ((left, jobs, "workers"), (right, pools, "model processes")):
        for name, rows in series.items():
            axis.plot([row[0] for row in rows], [row[-1] for row in rows], marker="o", label=name)
        axis.set_xlabel(unit)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if series:
            axis.legend()
    left.set_title("Python processes of a job", fontsize=9)
    right.set_title("a pool alone, with models", fontsize=9)
    left.set_ylabel("MiB (PSS)")
    left.set_ylim(bottom=0)  # of both
    save(figure, "memory.png")


def forecast(seconds: Mapping[str, Sequence[float]], growth: Sequence[Sequence[Any]]) -> None:
    """Draw the seconds of each way to forecast, and ours over the number of keys."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=(3, 2))
    names = [name.partition(" (")[0].partition(":")[0] for name in seconds]
    for offset, label in ((-0.2, "no intervals"), (0.2, "with intervals")):
        index = 0 if offset < 0 else 1
        rows = [row + offset for row in range(len(seconds))]
        left.barh(rows, [each[index] for each in seconds.values()], height=0.4, label=label)
        points = [(each[0], each[3]["s"]) for each in growth if (each[1] > 0) == (index == 1)]
        right.plot(*zip(*points, strict=True), marker="o", label=label)
    left.set_yticks(range(len(names)), [textwrap.fill(name, 34) for name in names], fontsize=8)
    left.invert_yaxis()
    left.set_xscale("log")
    left.set_xlabel("seconds")
    left.legend(fontsize=8)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("keys, each for 52 weeks")
    right.set_ylabel("seconds")
    save(figure, "forecast.png")


def batch(rates: Mapping[str, Sequence[tuple[str, float]]]) -> None:
    """Draw the rows a second of each contender, for each task."""
    columns = 2
    lines = -(-len(rates) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(11, 2.4 * lines), squeeze=False)
    for axis in axes.flat[len(rates) :]:
        axis.axis("off")
    for axis, (task, found) in zip(axes.flat, rates.items(), strict=False):
        names = [name for name, _ in found]
        colors = [OURS if name.startswith("tidemill") else OTHERS for name in names]
        axis.barh(range(len(found)), [rate for _, rate in found], color=colors)
        axis.set_yticks(range(len(found)), names, fontsize=7)
        axis.invert_yaxis()
        if max(rate for _, rate in found) > 100 * min(rate for _, rate in found):
            axis.set_xscale("log")
        axis.set_title(task, fontsize=9)
        axis.set_xlabel("rows a second after the start", fontsize=8)
    save(figure, "batch.png")


def store(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Draw p50 and p99 of each server over the number of keys, for each database."""
    figure, axes = plt.subplots(1, len(found), sharey=True, figsize=(9, 3.4), squeeze=False)
    for axis, (database, requests) in zip(axes[0], found.items(), strict=True):
        for name in dict.fromkeys(each["name"] for each in requests):
            own = sorted((each for each in requests if each["name"] == name), key=by_keys)
            keys = [f"{each['keys']}" for each in own]
            (line,) = axis.plot(keys, [each["p50"] for each in own], marker="o", label=name)
            p99 = [each["p99"] for each in own]
            axis.plot(keys, p99, marker="^", lw=1, ls=":", color=line.get_color())
        axis.set_title(f"{database}: p50, and p99 dotted", fontsize=9)
        axis.set_xlabel("keys in a request", fontsize=9)
        axis.set_yscale("log")
    axes[0][0].set_ylabel("ms over HTTP, one client")
    axes[0][0].legend(fontsize=8)
    save(figure, "store.png")


def tasks(found: Mapping[str, Mapping[str, float]]) -> None:
    """Draw the rate of each queue, and how long a single task waits."""
    figure, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(10, 3.2))
    colors = [OURS if name.startswith("Tidemill") else OTHERS for name in found]
    rows = range(len(found))
    left.barh(rows, [each["tasks/s"] for each in found.values()], color=colors)
    right.barh(rows, [1000 * each["p50 s"] for each in found.values()], color=colors)
    p95 = [1000 * each["p95 s"] for each in found.values()]
    right.plot(p95, rows, ls="", marker="|", ms=12, color="black", label="p95")
    left.set_yticks(rows, list(found), fontsize=8)
    left.invert_yaxis()  # of both
    left.set_xlabel("tasks a second that do nothing", fontsize=9)
    right.set_xlabel("ms until a single task begins (p50)", fontsize=9)
    for axis in (left, right):
        axis.set_xscale("log")
        axis.set_xlim(left=1)
    right.legend(fontsize=8)
    save(figure, "tasks.png")


def by_keys(figures: Mapping[str, Any]) -> int:
    """Return the number of keys."""
    keys: int = figures["keys"]
    return keys


def picture(name: str) -> str:
    """Return the Markdown of a plot."""
    return f"\n\n![{name}]({name}.png)"
