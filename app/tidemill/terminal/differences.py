"""Show how a backfill differs from the stream's results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.table import Table
from rich.text import Text

from tidemill.batch.differences import SAMPLE
from tidemill.terminal.escape import visible

if TYPE_CHECKING:
    from rich.console import Console

    from tidemill.batch.differences import Answer, Differences

SHORT = 60  # characters of a value
KINDS = ("changed", "new", "missing")


def show_differences(console: Console, found: Differences) -> None:
    """Print the numbers of a comparison, and some of the differences, both sides of each."""
    console.print(
        f"compared with {found.live[0]}: {found.same:,} same, {found.changed:,} changed, "
        f"{found.new:,} new, {found.missing:,} missing"
    )
    if not found.sample:
        return
    table = Table("", "partition:offset", "backfill", "live")
    for kind in KINDS:
        for each in [each for each in found.sample if each.kind == kind][:SAMPLE]:
            table.add_row(
                kind,
                f"{each.partition}:{each.offset}",
                _short(each.backfill, each.live),
                _short(each.live, each.backfill),
            )
    console.print(table)
    console.print("all of them: differences.jsonl, beside summary.json")


def _short(answer: Answer | None, other: Answer | None) -> Text:
    """Return an answer in a few words: only the fields in which it differs from another one."""
    if answer is None:
        return Text("-")
    text = f"{answer.error}: {answer.message or ''}"
    if answer.error is None:
        fields, others = answer.compared(), other and other.compared()
        if isinstance(fields, dict):
            known = others if isinstance(others, dict) else dict.fromkeys(fields)
            fields = {name: value for name, value in fields.items() if value != known.get(name)}
        text = msgspec.json.encode(fields).decode()
    return Text(visible(text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"))
