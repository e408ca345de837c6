"""bench/RESULTS.md from bench/results.json."""

from __future__ import annotations

import statistics
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from bench import plots, results
from bench.contenders.table import CONTENDERS
from bench.latency_floor import PHASES, STEPS
from bench.throughput import LIMIT, TIDEMILL
from faults.figures import median_interval
from faults.round_tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = Path(__file__).with_name("RESULTS.md")
TEMPLATE = Path(__file__).with_name("RESULTS.template.md")
NOT_YET = "Not measured yet."
SHARES = ("p50", "p95", "p99")
ABOUT = {
    LIMIT: "the limit: `nlp.pipe` over the texts in a process for each core; no Kafka, no JSON",
    "Tidemill": "this job as it is shipped",
    "Tidemill, exactly-once": "the same, with `delivery: exactly-once`",
    **{one.name: one.about for one in CONTENDERS},
}


def picture(name: str) -> str:
    """Return the line that shows a picture."""
    return f"\n\n![{name}]({name}.png)"


def ratios(rounds: Sequence[dict[str, Any]], to: str) -> dict[str, tuple[float, float, float]]:
    """Return each contender's rate as a share of another's in the same round: median and range."""
    pairs: dict[str, list[float]] = {}
    for one in rounds:
        rates = one["rates"]
        for name, rate in rates.items():
            if to in rates:
                pairs.setdefault(name, []).append(rate / rates[to])
    return {name: median_interval(shares) for name, shares in pairs.items()}


def said(spread: tuple[float, float, float]) -> str:
    """Return a median with its range."""
    middle, least, most = spread
    return f"{middle:.2f} ({least:.2f} to {most:.2f})"


def throughput(rounds: Sequence[dict[str, Any]]) -> str:
    """Return a row for each contender, the fastest first."""
    limit, ours = ratios(rounds, LIMIT), ratios(rounds, "Tidemill")
    plots.throughput({name: share for name, share in limit.items() if name != LIMIT})
    rows = []
    for name in sorted(limit, key=lambda name: -limit[name][0]):
        rates = [one["rates"][name] for one in rounds if name in one["rates"]]
        middle, *_ = median_interval(rates)
        times = f"{1 / ours[name][0]:.2f}" if name in ours else ""
        bold = f"**{name}**" if name in TIDEMILL else name
        rows.append(
            [f"{bold}: {ABOUT[name]}", len(rates), f"{middle:.0f}", said(limit[name]), times]
        )
    head = [
        "contender",
        "rounds",
        "messages a second",
        "share of the limit",
        "Tidemill is … times it",
    ]
    return table(head, rows) + picture("throughput")


def latency(found: dict[str, Any]) -> str:
    """Return a row for each way of delivery and load."""
    plots.latency(found)
    rows = [
        [
            f"{delivery}, {float(load):.0%} of {one['capacity']:.0f} a second",
            at["messages"],
            *(f"{at[of][name]:.0f}" for of in ("waits", "over the model") for name in SHARES),
        ]
        for delivery, one in found.items()
        for load, at in one["loads"].items()
    ]
    head = ["ms from message to result", "messages", *SHARES, *(f"{name} over" for name in SHARES)]
    return table(head, rows) + picture("latency")


def floor(found: dict[str, dict[str, float]]) -> str:
    """Return a row for each step."""
    rows = [
        [name, *(f"{step[key]:.0f}" for key in ("p50", "p95", *PHASES))]
        for name, step in ((name, found[name]) for name in STEPS)
    ]
    return table(["ms", "p50", "p95", *PHASES], rows)


def series(name: str, unit: str, found: dict[str, float]) -> str:
    """Return a table with one row, by what grows."""
    grows = sorted(found, key=int)
    return table([name, *grows], [[unit, *(found[each] for each in grows)]])


def scale(found: dict[str, Any]) -> str:
    """Return the tables of what grows."""
    plots.backlog(found["backlog"])
    backlog = []
    for delivery, looks in found["backlog"].items():
        backlog.append([delivery, *costs(looks), f"{max(look[3] for look in looks):,.0f}"])
    return "\n\n".join(
        [
            series("executors", "share of what the model allows", found["workers"]),
            series("partitions", "messages a second", found["partitions"]),
            series("messages in an Arrow batch", "messages a second", found["batch"]),
            series("parallelism", "share of four workers kept busy", found["skew"]),
            table(
                ["CPU µs a message", *(f"{tenth}. tenth" for tenth in TENTHS), "MiB at most"],
                backlog,
            )
            + picture("backlog"),
        ]
    )


TENTHS = (2, 4, 6, 8, 10)


def costs(looks: Sequence[Sequence[float]]) -> list[str]:
    """Return CPU time a message, in µs, in some tenths of a backlog."""
    total = looks[-1][1]
    found = []
    for tenth in TENTHS:
        inside = [look for look in looks if (tenth - 1) / 10 <= look[1] / total <= tenth / 10]
        answered = inside[-1][1] - inside[0][1] if inside else 0
        used = inside[-1][2] - inside[0][2] if inside else 0.0
        found.append(f"{1e6 * used / answered:.0f}" if answered else "")
    return found


def memory(found: dict[str, Any]) -> str:
    """Return a row for each number of workers, and way that they get their models."""
    plots.memory(found)
    model = found["model"]
    rows = [
        [
            f"{workers} workers, models {name}",
            f"{fixed:.0f}",
            f"{full:.0f}",
            f"{(full - fixed) / model:.2f}",
        ]
        for name, lines in found.items()
        if name != "model"
        for workers, fixed, full in lines
    ]
    head = ["MiB (PSS) of all workers", "without models", "with", "the models' share, in models"]
    lines = []
    for name in found.keys() - {"model"}:
        workers, _, full = zip(*found[name], strict=True)
        line = statistics.linear_regression(workers, full)
        lines.append(
            f"Models {name}: about {line.intercept:.0f} MiB, which is {line.intercept / model:.2f} "
            f"of them, and {line.slope:.0f} MiB more for each worker."
        )
    said = f"The shipped models take {model:.0f} MiB in one process."
    return "\n\n".join([said, table(head, rows), *sorted(lines, reverse=True)]) + picture("memory")


def machine(content: dict[str, Any]) -> str:
    """Say on what it was measured."""
    parts = [
        *content.get("throughput", []),
        *(content[name] for name in content if name != "throughput"),
    ]
    said = {
        f"{on['cores']} cores of {on['cpu']}, Linux {on['kernel']}, Python {on['python']}, "
        f"Spark {on['spark']}, Kafka {on['kafka']}"
        for on in (part["machine"] for part in parts)
    }
    days = sorted(part["date"][:10] for part in parts)
    loads = sorted(part["load"] for part in parts)
    return (
        f"{'; '.join(sorted(said))}; {days[0]} to {days[-1]}; load average (5 minutes) of the "
        f"whole machine from {loads[0]} to {loads[-1]}"
    )


def write() -> None:
    """Write the page and its pictures."""
    content = results.read()
    parts = {
        "throughput": throughput,
        "latency": latency,
        "floor": floor,
        "scale": scale,
        "memory": memory,
    }
    tables = dict.fromkeys(parts, NOT_YET)
    for name, part in parts.items():
        if name in content:
            kept = content[name]
            tables[name] = part(kept if name == "throughput" else kept["found"])
    page = Template(TEMPLATE.read_text("utf-8")).substitute(
        tables,
        machine=machine(content),
        texts=" and ".join({f"{one['texts']:,}" for one in content.get("throughput", [])})
        or "none yet",
    )
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    write()
