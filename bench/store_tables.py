"""The tables of bench/RESULTS.md about the store."""

from __future__ import annotations

from typing import Any

from bench import plots
from bench.contenders.stored_rows import FEATURES
from bench.plots import picture
from bench.store_targets import WAYS, keys_of, targets
from faults.round_tables import table

HEAD = [
    "p50, ms",
    "p99, ms",
    "requests/s",
    "rows/s",
    "CPU ms",
    "requests/s a core",
    "rows/s a core",
]


def store(found: dict[str, Any]) -> str:
    """Return the targets, and tables of look-ups, loads and swaps."""
    plots.store({name: part["requests"] for name, part in found["parts"].items()})
    loads = ", ".join(f"{load:.1f}" for load in found["load"])
    size = found["size"]
    measured = (
        f"{size['rows']:,} rows in SQLite and {size['postgres_rows']:,} in PostgreSQL; each "
        f"look-up had {size['rounds']} turns of {size['seconds']:g} s. The load average was "
        f"{loads}: before and after all databases were filled, and after each one was measured. "
        "With more than 2, other programs had a share of the cores: compare CPU times."
    )
    parts = [
        measured,
        table(["target", "limit", "measured", ""], [*targets(found)]),
    ]
    for way, words in WAYS.items():
        for name, part in found["parts"].items():
            rows = [look_ups(each) for each in sorted(part[way], key=lambda each: each["keys"])]
            parts.append(table([f"{name}, {words}", "", *HEAD], rows))
    head = ["loading", "database", "rows", "seconds", "rows/s", "CPU s"]
    parts.append(table(head, loaded(found)))
    parts.append(table(["one row over HTTP", "", "p50, ms", "p99, ms", "swaps"], swapped(found)))
    return "\n\n".join(parts) + picture("store")


def look_ups(each: dict[str, Any]) -> list[str]:
    """Return a row about one contender and one number of keys."""
    keys, core = each["keys"], 1000 / each["CPU ms"]
    times = [digits(each[name]) for name in ("p50", "p99")]
    rates = [f"{each['rate']:,.0f}", f"{keys * each['rate']:,.0f}"]
    cpu = [digits(each["CPU ms"]), f"{core:,.0f}", f"{keys * core:,.0f}"]
    return [each["name"], keys_of(keys), *times, *rates, *cpu]


def loaded(found: dict[str, Any]) -> list[list[str]]:
    """Return a row for each load."""
    rows = []
    for database, part in found["parts"].items():
        loads = [(f"{name}, {FEATURES} features", each) for name, each in part["loads"].items()]
        loads.append((f"Tidemill, {found['size']['narrow']} features", part["large"]))
        for name, each in loads:
            rate = f"{each['rows'] / each['s']:,.0f}"
            counts = [f"{each['rows']:,}", f"{each['s']:,.1f}", rate, f"{each['CPU s']:,.1f}"]
            rows.append([name, database, *counts])
    return rows


def swapped(found: dict[str, Any]) -> list[list[str]]:
    """Return a row for each situation."""
    return [
        [database, situation, digits(each["p50"]), digits(each["p99"]), f"{each['swaps']:,.0f}"]
        for database, part in found["parts"].items()
        for situation, each in part["swaps"].items()
    ]


def digits(value: float) -> str:
    """Return a figure with three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
