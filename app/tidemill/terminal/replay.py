"""Render the progress and the report of a replay."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import Progress
from rich.text import Text

from tidemill.terminal.dead_letters import ruled_table
from tidemill.terminal.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from tidemill.dead_letters.replay import Report


@contextmanager
def progress(console: Console, description: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar; yield a function that takes the number of letters left."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)

        def on_read(left: int) -> None:
            done = bar.tasks[0].completed + 1
            bar.update(task, completed=done, total=done + left)

        yield on_read


def report_tables(report: Report, *, sent: bool) -> Iterator[Text | Table]:
    """Yield tables of what a replay did or would do, and of what it left out."""
    title = f"{report.chosen.total():,} {'sent' if sent else 'would be sent'}"
    chosen = ruled_table(title, "error class", "to topic", "letters")
    for (error, topic), count in report.chosen.most_common():
        chosen.add_row(Text(visible(error)), Text(visible(topic)), f"{count:,}")
    yield chosen if report.chosen else Text(title)
    for title, counts in {
        "left out": report.left_out,
        "cannot be sent now": report.held,
        "not delivered": report.failed,
    }.items():
        table = ruled_table(f"{counts.total():,} {title}", "reason", "letters")
        for reason, count in (+counts).most_common():
            table.add_row(Text(visible(reason)), f"{count:,}")
        if +counts:
            yield table


def sending_command(
    config: Path | None, places: Sequence[str], options: Mapping[str, object]
) -> str:
    """Return the shell command that sends what was shown for the same options."""
    words = ["tidemill", "dlq", "replay", *places]
    for name, values in {**options, "config": config, "send": True}.items():
        for value in values if isinstance(values, list) else [values]:
            if value not in {None, False}:
                words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)
