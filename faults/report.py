"""docs/FAULTS.md from docs/faults.json: what was killed how often, and what came of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from dev import ROOT
from faults import results_log
from faults.cost import MODES, ratios
from faults.figures import median_interval, percentile, upper_bound
from faults.kills import DRIVERS
from faults.scenarios import scenarios

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Entries = Sequence[dict[str, Any]]

PAGE = ROOT / "docs" / "FAULTS.md"
ENGINES = ("local", "cluster")
VICTIMS = {
    "worker": "a Python worker, or all of them",
    "executor": "an executor (of `local-cluster`), with its workers",
    "group": "the whole job: driver, Java, workers",
    "driver": "the driver's Python process; its Java and workers go on for a moment",
    "jvm": "the driver's Java",
    "zombie": "the whole job, not killed but suspended, and let go on when its successor answers",
}
POINTS = {
    "any time": "at a random time",
    "before-send": "before a transaction is begun",
    "amid-send": "after its first record was handed to the producer",
    "after-send": "when its records are with Kafka",
    "before-commit": "when the group's offset is in it too",
    "after-commit": "when it is committed",
    "after-last-commit": "when a micro-batch's last is, and Spark's commit log does not know",
    "claim-before-commit": "at a start, before a partition's claim is committed",
    "claim-after-commit": "the same, after it",
}
KINDS = ("lost", "duplicates", "inversions", "altered", "unlike", "strange", "ahead")
TARGETS_S = {"worker": 5, "executor": 30, "driver": 30}
# The load average (of five minutes) of a round that had to share the cores.
MUCH_LOAD = 5.0


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; all but the first column are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def promises(rounds: Entries) -> str:
    """Return a row for each mode: how much was tried, and each thing that may go wrong."""
    rows = []
    for mode in MODES:
        ours = [one for one in rounds if one["mode"] == mode]
        kills = [kill for one in ours for kill in one["kills"]]
        faults: Counter[str] = sum((Counter(one["faults"]) for one in ours), Counter())
        broken = sum(not one["holds"] for one in ours)
        bound = f"{upper_bound(len(kills)):.2%}" if not broken else f"{broken} rounds broke it"
        rows.append(
            [
                mode,
                len(kills),
                sum(kill[0] in DRIVERS for kill in kills),
                f"{sum(one['messages'] for one in ours):,}",
                *(f"{faults[kind]:,}" for kind in KINDS),
                f"{sum(one['samples'] for one in ours):,}",
                bound,
            ]
        )
    head = ["delivery", "kills", "of the job", "messages", *KINDS[:-1], "offset ahead", "samples"]
    return table([*head, "failures a kill, at most"], rows)


def strikes(rounds: Entries) -> str:
    """Return a row for each place, and a column for each victim, mode and engine."""
    counts = Counter(
        (point, victim, one["mode"], one["engine"])
        for one in rounds
        for victim, point, *_ in one["kills"]
    )
    columns = sorted(
        {key[1:] for key in counts},
        key=lambda key: (MODES.index(key[1]), ENGINES.index(key[2]), list(VICTIMS).index(key[0])),
    )
    head = ["", *(f"{victim}, {mode}, {engine}" for victim, mode, engine in columns)]
    rows = [
        [f"{point}: {said}", *(counts[point, *column] or "" for column in columns)]
        for point, said in POINTS.items()
    ]
    return table(head, rows)


def recovery(rounds: Entries) -> str:
    """Return the seconds from a kill to the next outcomes, with all cores for the job or not."""
    kills: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in rounds:
        busy = one.get("load", MUCH_LOAD) >= MUCH_LOAD
        for victim, _, first, every in one["kills"]:
            group = "driver" if victim in DRIVERS else victim
            if group in TARGETS_S:
                name = f"{group}, {one['mode']}, {'busy' if busy else 'quiet'}"
                kills.setdefault((name, group), []).append((first, every))
    rows = [
        [
            name,
            len(times),
            *(
                f"{percentile(found, share):.1f}"
                for found in zip(*times, strict=True)
                for share in (0.5, 0.95)
            ),
            TARGETS_S[group],
        ]
        for (name, group), times in sorted(kills.items())
    ]
    head = ["seconds", "kills", "first p50", "first p95", "every p50", "every p95", "target"]
    return table(head, rows)


def cost(costs: Entries) -> str:
    """Return the throughputs of both modes and their ratio."""
    if not costs:
        return "Not measured yet: `make cost`."
    newest = costs[-1]
    median, least, most = median_interval(ratios(newest["pairs"]))
    rows = [
        [number, *(pair[mode] for mode in MODES), f"{pair[MODES[0]] / pair[MODES[1]]:.3f}"]
        for number, pair in enumerate(newest["pairs"], 1)
    ]
    return (
        f"Exactly-once does **{median:.2f}** of what at-least-once does (median of "
        f"{len(rows)} pairs, {least:.2f} to {most:.2f}), {newest['date'][:10]}.\n\n"
        + table(["messages a second", *MODES, "ratio"], rows)
    )


def soak(soaks: Entries) -> str:
    """Return what grew in the newest soak."""
    if not soaks:
        return "Not run yet: `make soak`."
    newest = soaks[-1]
    rows = [
        [name, *(gauge[key] for key in ("level", "an hour", "give or take")), _flat(gauge)]
        for name, gauge in newest["gauges"].items()
    ]
    return (
        f"{newest['minutes']:g} minutes at half of {newest['capacity']:g} messages a second, "
        f"exactly-once, {newest['date'][:10]}: {newest['messages']:,} messages, "
        f"{newest['outcomes']:,} outcomes, offset ahead in {newest['ahead']} of "
        f"{newest['samples']:,} samples.\n\n"
        + table(["", "level", "growth an hour", "±", "verdict"], rows)
        + "\n\n![each gauge over time](soak.png)"
    )


def _flat(gauge: dict[str, Any]) -> str:
    return "flat" if gauge["flat"] else "**rises**"


def machines(content: dict[str, Entries]) -> str:
    """Return what all this ran on."""
    found = Counter(
        "{cores} cores of {cpu}, Linux {kernel}, Python {python}, Spark {spark}, Kafka {kafka}, "
        "librdkafka {librdkafka}".format(**entry["machine"])
        for entries in content.values()
        for entry in entries
    )
    return "\n".join(f"- {name}" for name in found)


def page(content: dict[str, Entries], others: str) -> str:
    """Return the page."""
    rounds = content["rounds"]
    dates = sorted(one["date"][:10] for one in rounds) or ["never"]
    template = (ROOT / "faults" / "FAULTS.template.md").read_text("utf-8")
    return template.format(
        rounds=len(rounds),
        first=dates[0],
        last=dates[-1],
        promises=promises(rounds),
        victims="\n".join(f"- {victim}: {said}" for victim, said in VICTIMS.items()),
        strikes=strikes(rounds),
        recovery=recovery(rounds),
        cost=cost(content["costs"]),
        soak=soak(content["soaks"]),
        machines=machines(content),
        scenarios=others,
    )


if __name__ == "__main__":
    PAGE.write_text(page(results_log.read(), scenarios()), "utf-8")
