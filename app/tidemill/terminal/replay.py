"""What a replay does, or would do, in a terminal."""

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
def progress(console: Console, what: str) -> Iterator[Callable[[int], None]]:
    """Show a bar while the letters are gone through; yield what takes how many are left."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def looked(left: int) -> None:
            done = bar.tasks[0].completed + 1
            bar.update(task, completed=done, total=done + left)

        yield looked


def report_tables(report: Report, *, sent: bool) -> Iterator[Text | Table]:
    """Lay out what a replay did or would do, and what it leaves out."""
    title = f"{report.chosen.total():,} {'chosen and sent' if sent else 'would be sent'}"
    chosen = ruled_table(title, "error class", "to topic", "letters")
    for (error, topic), count in report.chosen.most_common():
        chosen.add_row(Text(visible(error)), Text(visible(topic)), f"{count:,}")
    yield chosen if report.chosen else Text(title)
    for title, counts in {
        "left out": report.left_out,
        "cannot be sent now": report.held,
        "not delivered": report.failed,
    }.items():
        table = ruled_table(f"{counts.total():,} {title}", "why", "letters")
        for said, count in (+counts).most_common():
            table.add_row(Text(visible(said)), f"{count:,}")
        if +counts:
            yield table


def sending_command(
    config: Path | None, places: Sequence[str], options: Mapping[str, object]
) -> str:
    """Return the command that sends what the same options showed, as a shell reads it."""
    words = ["tidemill", "dlq", "replay", *places]
    for name, given in {**options, "config": config, "send": True}.items():
        for value in given if isinstance(given, list) else [given]:
            if value not in {None, False}:
                words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)
