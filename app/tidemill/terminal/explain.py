"""Render the explanation of a message. Strangers wrote its content: all of it is escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tidemill.terminal.escape import printable_json, visible
from tidemill.terminal.explain_steps import ROWS, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from tidemill.explain.explanation import Explanation, Step

MARKS = {"ok": ("✓", "green"), "failed": ("✗", "bold red"), "not reached": ("·", "dim")}
NAME_WIDTH, LABEL_WIDTH = 8, 9


def document(explanation: Explanation) -> str:
    """Return an explanation as one line of JSON."""
    steps = {step.name: {"status": step.status, **step.facts} for step in explanation.steps}
    failed = next((step.name for step in explanation.steps if step.status == "failed"), None)
    whole = {"outcome": explanation.verdict, "failed_step": failed, "steps": steps}
    return printable_json(json.dumps(whole, ensure_ascii=False))


def parts(explanation: Explanation) -> Iterator[RenderableType]:
    """Yield each step, and then the outcome."""
    for step in explanation.steps:
        yield _table(step)
        for block in blocks(step):
            yield Padding(block, (1, 0, 1, 4), expand=False)
    yield Text()
    yield _verdict(explanation)


def _table(step: Step) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=1)
    table.add_column(width=NAME_WIDTH)
    table.add_column(width=LABEL_WIDTH)
    table.add_column(overflow="fold")
    mark, style = MARKS[step.status]
    heads = [Text(mark, style), Text(step.name, "dim" if step.status == "not reached" else "bold")]
    rows = [("", Text("not reached", "dim"))]
    if step.status != "not reached":
        rows = [*ROWS[step.name](step.facts), *_error_rows(step.facts.get("error"))]
    for label, content in rows:
        table.add_row(*heads, Text(label, "dim"), content)
        heads = [Text(), Text()]
    return table


def _error_rows(error: dict[str, Any] | None) -> Iterator[tuple[str, Text]]:
    if error is None:
        return
    yield "error", Text(f"{error['class']}: {visible(error['message'])}", "red")
    for problem in error["problems"]:
        yield "", Text(f"- {visible(problem)}")
    if error["hint"]:
        yield "hint", Text(visible(error["hint"]))


def _verdict(explanation: Explanation) -> Text:
    match explanation.verdict:
        case "result":
            return Text("The message becomes a result.", "bold green")
        case "dead letter":
            return Text("The message becomes a dead letter.", "bold red")
    return Text(
        "The message has no outcome, because its model is down. It is not blamed.", "bold red"
    )
