"""The tables of docs/FAULTS.md about rounds: what was killed, what broke, how long it took."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from faults.cost import MODES
from faults.figures import percentile, upper_bound
from faults.kills import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Entries = Sequence[dict[str, Any]]

ENGINES = ("local", "cluster")
TARGETS = {
    "worker": "one Python worker, or all of them",
    "member": "one process of the pool that runs the models",
    "server": "the server of a pool, and with it all processes of the pool",
    "executor": "an executor of `local-cluster`, with its workers and its pool",
    "group": "the whole job: driver, JVM, workers and pool",
    "driver": "the driver's Python process; its JVM, workers and pool live a moment longer",
    "jvm": "the driver's JVM",
    "zombie": "the whole job: suspended instead of killed, and resumed when its successor answers",
}
POINTS = {
    "any time": "at a random time",
    "in-predict": "while a process of the pool runs the model",
    "before-send": "before a transaction begins",
    "amid-send": "after the transaction's first record was handed to the producer",
    "after-send": "when Kafka has all records of the transaction",
    "before-commit": "when the transaction also holds the group's offset",
    "after-commit": "when the transaction is committed",
    "after-last-commit": "after a micro-batch's last commit, before Spark's commit log has it",
    "claim-before-commit": "at a start, before the claim of a partition is committed",
    "claim-after-commit": "at a start, after that",
}
# The kinds of faults in faults.json, and their headings.
KINDS = {
    "lost": "lost",
    "duplicates": "duplicates",
    "inversions": "inversions",
    "altered": "altered",
    "unlike": "unequal duplicates",
    "strange": "unknown",
    "ahead": "offset ahead",
}
RECOVERY_GOALS_S = {"worker": 5, "member": 5, "server": 10, "executor": 30, "driver": 30}
# With this load average (five minutes) or more, a round had to share the cores.
BUSY_LOAD = 5.0


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def promises(rounds: Entries) -> str:
    """Return a row for each mode: how much was tried, and how often each fault occurred."""
    rows = []
    for mode in MODES:
        ours = [entry for entry in rounds if entry["mode"] == mode]
        kills = [kill for entry in ours for kill in entry["kills"]]
        faults: Counter[str] = sum((Counter(entry["faults"]) for entry in ours), Counter())
        broken = sum(not entry["holds"] for entry in ours)
        bound = f"{upper_bound(len(kills)):.2%}" if not broken else f"broken in {broken} rounds"
        rows.append(
            [
                mode,
                len(kills),
                sum(kill[0] in DRIVERS for kill in kills),
                f"{sum(entry['messages'] for entry in ours):,}",
                *(f"{faults[kind]:,}" for kind in KINDS),
                f"{sum(entry['samples'] for entry in ours):,}",
                bound,
            ]
        )
    head = ["delivery", "kills", "of the job", "messages", *KINDS.values(), "samples"]
    return table([*head, "failures per kill, at most"], rows)


def kills(rounds: Entries) -> str:
    """Return a row for each point, and a column for each target, mode and engine."""
    counts = Counter(
        (point, target, entry["mode"], entry["engine"])
        for entry in rounds
        for target, point, *_ in entry["kills"]
    )
    columns = sorted(
        {key[1:] for key in counts},
        key=lambda key: (MODES.index(key[1]), ENGINES.index(key[2]), list(TARGETS).index(key[0])),
    )
    head = ["", *(f"{target}, {mode}, {engine}" for target, mode, engine in columns)]
    rows = [
        [f"{point}: {meaning}", *(counts[point, *column] or "" for column in columns)]
        for point, meaning in POINTS.items()
    ]
    return table(head, rows)


def recovery(rounds: Entries) -> str:
    """Return the seconds from a kill to the next outcomes, on a quiet and on a busy machine."""
    kills: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for entry in rounds:
        busy = entry.get("load", BUSY_LOAD) >= BUSY_LOAD
        for target, _, first, every in entry["kills"]:
            group = "driver" if target in DRIVERS else target
            if group in RECOVERY_GOALS_S:
                name = f"{group}, {entry['mode']}, {'busy' if busy else 'quiet'}"
                kills.setdefault((name, group), []).append((first, every))
    rows = [
        [
            name,
            len(times),
            *(
                f"{percentile(seconds, share):.1f}"
                for seconds in zip(*times, strict=True)
                for share in (0.5, 0.95)
            ),
            RECOVERY_GOALS_S[group],
        ]
        for (name, group), times in sorted(kills.items())
    ]
    head = ["seconds", "kills", "first p50", "first p95", "every p50", "every p95", "goal"]
    return table(head, rows)
