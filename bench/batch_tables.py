"""The tables of bench/RESULTS.md about batches of files."""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

from bench import plots
from bench.batch_contenders import ALL, BARE, ONE, OURS
from bench.plots import picture
from faults.round_tables import table

HEAD = ["rows/s", "of the model alone", "of it by CPU time", "seconds in all", "CPU s", "first, s"]


class Row(NamedTuple):
    """What one contender needed, in the median of the rounds; shares are those of each round."""

    name: str
    rate: float
    share: float | None
    cpu_share: float | None
    seconds: float
    cpu: float
    first: float | None


def batch(found: list[dict[str, Any]]) -> str:
    """Return a table for each task, and the targets."""
    parts = [table(["target", "at least or at most", "measured", ""], targets(found))]
    compared = {task_name(task): rows(task) for task in found}
    plots.batch({name: [(row.name, row.rate) for row in each] for name, each in compared.items()})
    for task, (name, each) in zip(found, compared.items(), strict=True):
        load = f"Load average {min(task['load']):.1f} to {max(task['load']):.1f}"
        parts.append(f"### {name[0].upper()}{name[1:]}\n\n{load}, rounds: {rounds(task)}.")
        parts.append(table(["", *HEAD], [shown(row) for row in each]))
    return "\n\n".join(parts) + picture("batch")


def task_name(task: dict[str, Any]) -> str:
    """Return a task in words."""
    model = "spaCy" if task["model"] == "ner" else "a model that does nothing"
    form = "JSON lines" if task["format"] == "json" else "Parquet"
    return f"{model}, {task['rows']:,} rows of {form}"


def rounds(task: dict[str, Any]) -> int:
    """Return how many times each contender had its turn."""
    return len(next(iter(task["runs"].values())))


def rows(task: dict[str, Any]) -> list[Row]:
    """Return a row for each contender, in the order of their rates."""
    made = []
    for name, runs in task["runs"].items():
        limit = task["runs"].get(f"{BARE}, {ALL if name.endswith(ALL) else ONE}")
        compared = limit if task["model"] == "ner" else None
        middle = {key: median(run[key] for run in runs) for key in runs[0]}
        made.append(
            Row(
                name,
                middle["rows/s"],
                ratio(runs, compared, "rows/s"),
                ratio(compared, runs, "CPU s") if compared else None,
                middle["s"],
                middle["CPU s"],
                middle.get("first s"),
            )
        )
    return sorted(made, key=lambda row: -row.rate)


def ratio(
    above: list[dict[str, float]], below: list[dict[str, float]] | None, key: str
) -> float | None:
    """Return the median of the ratios of the rounds."""
    if below is None:
        return None
    return median(one[key] / other[key] for one, other in zip(above, below, strict=True))


def shown(row: Row) -> list[str]:
    """Return a row of the table."""
    shares = ["" if each is None else f"{each:.2f}" for each in (row.share, row.cpu_share)]
    first = "" if row.first is None else f"{row.first:.1f}"
    return [row.name, f"{row.rate:,.0f}", *shares, f"{row.seconds:.1f}", f"{row.cpu:.1f}", first]


def targets(found: list[dict[str, Any]]) -> list[list[str]]:
    """Return each target, and whether it was met."""
    texts = [task for task in found if task["model"] == "ner"]
    compared = {row.name: row for row in rows(texts[-1])} if texts else {}
    made = []
    for name, least in (
        (f"{OURS}, local, {ONE}", 0.95),
        (f"{OURS}, local, {ALL}", 0.95),
        (f"{OURS}, spark, {ALL}", 0.9),
    ):
        if name in compared and (share := compared[name].share) is not None:
            made.append(
                [
                    f"{name}: share of the model alone",
                    f"{least}",
                    f"{share:.2f}",
                    met(share >= least),
                ]
            )
    firsts = {row.name: row.first for task in texts[:1] for row in rows(task)}
    if first := firsts.get(f"{OURS}, local, {ALL}"):
        made.append(
            ["local, spaCy: seconds until the first answers", "3", f"{first:.1f}", met(first <= 3)]
        )
    return made


def met(is_met: bool) -> str:  # noqa: FBT001 - of one comparison
    """Return a word for whether a target was met."""
    return "met" if is_met else "**missed**"
