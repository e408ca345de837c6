"""The tables of bench/RESULTS.md about many forecasts."""

from __future__ import annotations

from typing import Any

from bench import plots
from bench.forecast_targets import targets
from bench.plots import picture
from examples.forecasts.published import COMPRESSIONS, LATENCIES
from faults.round_tables import table
from tidemill.packing.report import Measured

SAMPLES = ("0", "1000")
WAYS = {
    "queries": "Tidemill, from Python",
    "JSON": "Tidemill, JSON to JSON: the adapter `packed`",
    "table": "Tidemill, a DataFrame with a row for each date: the model of MLflow",
}


def forecast(found: dict[str, Any]) -> str:
    """Return the tables: targets, speed, bytes, growth."""
    rows = speed(found)
    bars = {name: seconds for name, *seconds, _ in rows}
    bars |= {name: [plain, ranged] for name, _, plain, ranged, _ in found["packages"]}
    plots.forecast(bars, found["growth"])
    first, last = found["load"]
    busy = (
        f"The machine's load average was {first:.1f} at the beginning and {last:.1f} at the end. "
        "If it exceeds the number of cores, compare CPU times."
    )
    head = [
        f"seconds for {found['models']:,} models x 52",
        "no intervals",
        "1,000 samples",
        "CPU, no intervals",
        "CPU, 1,000 samples",
    ]
    shown = [[name, *map(digits, seconds), *map(digits, cpu)] for name, *seconds, cpu in rows]
    others = [[row[0], *map(digits, row[1:4]), f"{row[4]:,.0f}"] for row in found["packages"]]
    return "\n\n".join(
        [
            busy,
            table(
                ["target", "at most", "measured", ""],
                [[*each[:3], "met" if each.met else "**missed**"] for each in targets(found)],
            ),
            table(head, shown) + picture("forecast"),
            table(
                [f"having {found['models']:,} models ready", "seconds", "MiB more"], ready(found)
            ),
            table(
                ["other packages, seconds", "fit", "no intervals", "intervals", "bytes a store"],
                others,
            ),
            table(["the talk, 1,400 models x 52", "models in a request", "seconds"], talk()),
            table(
                [
                    "bytes a model",
                    "bytes",
                    "saved",
                    "pack ms",
                    "load ms",
                    "KB in memory",
                    "the talk: bytes",
                    "saved",
                    "load ms",
                ],
                [kind(Measured(**each)) for each in found["kinds"]],
            ),
            table(
                [
                    "keys",
                    "samples",
                    "MB of the artifact",
                    "open s",
                    "seconds",
                    "CPU s",
                    "MiB at most",
                ],
                [growth_row(*row) for row in found["growth"]],
            ),
        ]
    )


def speed(found: dict[str, Any]) -> list[list[Any]]:
    """Return a row for each way: name, seconds without and with intervals, and CPU seconds."""
    rows: list[list[Any]] = []
    for way, name in WAYS.items():
        own = [found["ours"][way][samples] for samples in SAMPLES]
        rows.append([name, *(each["s"] for each in own), [each["CPU s"] for each in own]])
    alone = {(processes, samples): rest for processes, samples, *rest in found["Prophet"]}
    for processes in sorted({processes for processes, _ in alone}):
        counts, took = zip(*(alone[processes, int(samples)] for samples in SAMPLES), strict=True)
        factors = [found["models"] / count for count in counts]
        seconds, cpu = (
            [factor * each[unit] for factor, each in zip(factors, took, strict=True)]
            for unit in ("s", "CPU s")
        )
        of = " and ".join(map(str, counts))
        name = f"Prophet, one by one, {processes} process{'es' * (processes > 1)}"
        rows.append([f"{name} (of {of} models, scaled up)", *seconds, cpu])
    return rows


def ready(found: dict[str, Any]) -> list[list[str]]:
    """Return a row for opening an artifact, and one for reading Prophet's own files."""
    ours = found["ours"]["queries"]["0"]
    _, _, count, alone = found["Prophet"][0]
    factor = found["models"] / count
    return [
        [
            "opening and verifying the artifact",
            digits(ours["open s"]),
            digits(ours["MiB"] - ours["MiB before"]),
        ],
        [
            f"reading Prophet's JSON (of {count} models, scaled up)",
            digits(factor * alone["load s"]),
            digits(factor * alone["MiB"]),
        ],
    ]


def digits(figure: float) -> str:
    """Return a figure with two or three digits."""
    return (
        f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2g}"
    )


def talk() -> list[list[str]]:
    """Return a row for each way of the talk."""
    return [
        [
            f"{each.approach}{', compressed' * each.compressed}",
            f"{each.at_once:,}",
            f"{each.seconds:.2f}",
        ]
        for each in LATENCIES
    ]


def kind(each: Measured) -> list[str]:
    """Return a row for a way to keep a model, with the talk's figures."""
    theirs, largest = COMPRESSIONS.get(each.kind), COMPRESSIONS["pickle-none"].size
    own = [f"{each.size:,.0f}", f"{each.saved:.1%}", f"{each.pack_ms:.2f}", f"{each.load_ms:.2f}"]
    own.append(f"{each.memory / 1000:,.1f}")
    if theirs is None:
        return [each.kind, *own, "", "", ""]
    saved = f"{1 - theirs.size / largest:.1%}"
    return [each.kind, *own, f"{theirs.size:,}", saved, f"{1000 * theirs.load_s:.1f}"]


def growth_row(keys: int, samples: int, size: int, took: dict[str, float]) -> list[str]:
    """Return a row for a number of keys."""
    return [
        f"{keys:,}",
        f"{samples:,}",
        f"{size / 1e6:.2f}",
        digits(took["open s"]),
        digits(took["s"]),
        digits(took["CPU s"]),
        f"{took['peak MiB']:.0f}",
    ]
