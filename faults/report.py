"""Write docs/FAULTS.md from docs/faults.json."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from dev import ROOT
from faults import results_log
from faults.cost import MODES, ratios
from faults.figures import median_interval, percentile
from faults.round_tables import TARGETS, kills, promises, recovery, table
from faults.scenarios import scenarios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faults.round_tables import Entries

PAGE = ROOT / "docs" / "FAULTS.md"


def cost(costs: Entries) -> str:
    """Return the throughput of both modes and their ratio in the latest comparison."""
    if not costs:
        return "Not measured yet: `make cost`."
    newest = costs[-1]
    median, low, high = median_interval(ratios(newest["pairs"]))
    rows = [
        [number, *(pair[mode] for mode in MODES), f"{pair[MODES[0]] / pair[MODES[1]]:.3f}"]
        for number, pair in enumerate(newest["pairs"], 1)
    ]
    return (
        f"On {newest['date'][:10]}, the throughput of exactly-once was **{median:.2f}** of "
        f"at-least-once's (median of {len(rows)} pairs, from {low:.2f} to {high:.2f}).\n\n"
        + table(["messages a second", *MODES, "ratio"], rows)
    )


def soak(soaks: Entries) -> str:
    """Return the growth of each gauge in the latest soak."""
    if not soaks:
        return "Not run yet: `make soak`."
    newest = soaks[-1]
    rows = [
        [name, *(gauge[key] for key in ("level", "growth_per_hour", "margin")), _verdict(gauge)]
        for name, gauge in newest["gauges"].items()
    ]
    return (
        f"{newest['date'][:10]}: {newest['minutes']:g} minutes, exactly-once, at half of the "
        f"capacity of {newest['capacity']:g} messages a second. {newest['messages']:,} messages, "
        f"{newest['outcomes']:,} outcomes; the offset was ahead in {newest['ahead']} of "
        f"{newest['samples']:,} samples.\n\n"
        + table(["", "level", "growth an hour", "±", "verdict"], rows)
        + "\n\n![each gauge over time](soak.png)"
    )


def serving(campaigns: Entries) -> str:
    """Return what the latest kills of servers cost."""
    if not campaigns:
        return "Not run yet: `make faults-serving`."
    newest = campaigns[-1]
    rows = [
        [struck, asked, kills, f"{requests:,}", sum(failed.values()), f"{slowest:.1f} s"]
        for struck, asked, kills, requests, failed, slowest in newest["rounds"]
    ]
    heads = ["killed", "asked with", "kills", "requests", "failed", "slowest answer"]
    return (
        f"{newest['date'][:10]}, {newest['rate']:g} requests a second, load average "
        f"{newest['load']:g}.\n\n{table(heads, rows)}"
    )


def batches(rounds: Entries) -> str:
    """Return how often batches were killed, by engine and formats, and what was wrong."""
    if not rounds:
        return "Not run yet: `make faults-batch`."
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for each in rounds:
        groups.setdefault((each["engine"], each["from"], each["to"]), []).append(each)
    rows = [
        [
            *names,
            sum(sum(each["kills"].values()) for each in group),
            f"{sum(each['rows'] for each in group):,}",
            sum(len(each["problems"]) for each in group),
        ]
        for names, group in sorted(groups.items())
    ]
    killed = Counter[str]()
    for each in rounds:
        killed.update(each["kills"])
    return (
        f"{killed.total()} kills until {rounds[-1]['date'][:10]}: "
        + ", ".join(f"{count} of the {name}" for name, count in killed.most_common())
        + ".\n\n"
        + table(["engine", "from", "to", "kills", "rows", "problems"], rows)
    )


def tasks(rounds: Entries) -> str:
    """Return what was killed while tasks ran, how long they waited for it, and what was wrong."""
    if not rounds:
        return "Not run yet: `make faults-tasks`."
    killed: dict[str, Counter[str]] = {}
    waited: dict[str, list[float]] = {}
    for each in rounds:
        for name, count in each["kills"].items():
            killed.setdefault(name, Counter())[each["database"]] += count
        for name, seconds in each["recoveries"]:
            waited.setdefault(name, []).append(seconds)
    ended = sum((Counter(each["tasks"]) for each in rounds), Counter[str]())
    every = [seconds for times in waited.values() for seconds in times]
    rows = [
        [name, counts["sqlite"] or "", counts["postgresql"] or "", *_waits(waited.get(name, []))]
        for name, counts in killed.items()
    ]
    total = sum(counts.total() for counts in killed.values())
    found = sum(len(each["problems"]) for each in rounds)
    return (
        f"{total} kills until {rounds[-1]['date'][:10]}. {ended.total():,} tasks: "
        + ", ".join(f"{count:,} {state}" for state, count in sorted(ended.items()))
        + f". **{found}** problems.\n\n"
        + table(
            ["", "SQLite", "PostgreSQL", "taken over", "median, s", "p95, s", "slowest, s"],
            [*rows, ["all", "", "", *_waits(every)]],
        )
    )


def _waits(times: Sequence[float]) -> list[object]:
    shares = [f"{percentile(times, share):.1f}" for share in (0.5, 0.95, 1)] if times else [""] * 3
    return [len(times) or "", *shares]


def _verdict(gauge: dict[str, Any]) -> str:
    return "flat" if gauge["flat"] else "**rises**"


def machines(content: Mapping[str, Entries]) -> str:
    """Return the machines and versions of all entries."""
    names = Counter(
        "{cores} cores of {cpu}, Linux {kernel}, Python {python}, Spark {spark}, Kafka {kafka}, "
        "librdkafka {librdkafka}".format(**entry["machine"])
        for entries in content.values()
        for entry in entries
    )
    return "\n".join(f"- {name}" for name in names)


def page(content: Mapping[str, Entries], others: str) -> str:
    """Return the page; `others` is the list of the other scenarios."""
    rounds = content["rounds"]
    dates = sorted(entry["date"][:10] for entry in rounds) or ["never"]
    template = (ROOT / "faults" / "FAULTS.template.md").read_text("utf-8")
    return template.format(
        rounds=len(rounds),
        first=dates[0],
        last=dates[-1],
        promises=promises(rounds),
        targets="\n".join(f"- {target}: {meaning}" for target, meaning in TARGETS.items()),
        kills=kills(rounds),
        recovery=recovery(rounds),
        cost=cost(content["costs"]),
        soak=soak(content["soaks"]),
        serving=serving(content["serving"]),
        batches=batches(content["batches"]),
        tasks=tasks(content["tasks"]),
        machines=machines(content),
        scenarios=others,
    )


if __name__ == "__main__":
    PAGE.write_text(page(results_log.read(), scenarios()), "utf-8")
