"""Render runs of tasks, and show the progress of one."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tidemill.tasks.runs import WAITING
from tidemill.terminal.escape import printable_json, visible
from tidemill.terminal.responsive_table import ResponsiveTable
from tidemill.units import duration, moment

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from tidemill.tasks.runs import Run
    from tidemill.tasks.tasks import Tasks

log = structlog.get_logger(__name__)

POLL_S: Final = 0.3
PATIENCE_S: Final = 3.0  # usually, a worker takes a run sooner
DROPPABLE_COLUMNS: Final = ("submitted", "took", "progress")
MAX_TEXT: Final = 50  # columns of a phrase or an error, which wraps
COLOURS: Final = {"succeeded": "green", "failed": "red", "running": "cyan"}


def run_line(run: Run) -> str:
    """Return a run as a line of JSON, its times as ISO 8601."""
    return printable_json(msgspec.json.encode(run.as_json()).decode())


def runs_table(runs: Sequence[Run]) -> ResponsiveTable:
    """Return a table with a row for each run; ids are always whole, to be copied."""
    return ResponsiveTable(partial(_table, runs), DROPPABLE_COLUMNS)


def _table(runs: Sequence[Run], without: Container[str]) -> Table:
    table = Table()
    table.add_column("run", no_wrap=True)
    for name in ("job", "state", "progress", "submitted", "took"):
        if name not in without:
            right = name in {"progress", "took"}
            table.add_column(name, justify="right" if right else "left", overflow="fold")
    table.add_column("", max_width=MAX_TEXT, overflow="fold")
    for run in runs:
        took = (run.ended - run.started) / 1000 if run.ended and run.started else None
        cells: dict[str, str | Text] = {
            "run": run.id,
            "job": Text(visible(run.job)),
            "state": Text(run.state, COLOURS.get(run.state, "")),
            "progress": f"{run.progress:.0%}",
            "submitted": moment(run.submitted),
            "took": "" if took is None else duration(took),
            "": Text(visible(run.error or run.phrase)),
        }
        table.add_row(*(cell for name, cell in cells.items() if name not in without))
    return table


def watch(tasks: Tasks, name: str) -> Run:
    """Show a run's progress until it ends: a bar on a terminal, elsewhere a log line each time."""
    console = Console(stderr=True, highlight=False)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    shown = None
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=1.0)
        began = time.monotonic()
        while True:
            run = tasks.get(name)
            phrase = phrase_of(run, time.monotonic() - began)
            text = f"{run.job} {run.state} {visible(phrase)}".strip()
            bar.update(task, completed=run.progress, description=escape(text))
            if not console.is_terminal and text != shown:
                log.info("task", run=name, state=run.state, progress=run.progress, text=phrase)
                shown = text
            if run.has_ended:
                return run
            time.sleep(POLL_S)


def phrase_of(run: Run, watched: float) -> str:
    """Return what a run says, or why it may say nothing after it was watched for some seconds."""
    if run.state == WAITING and watched >= PATIENCE_S:
        return "for a worker; `tidemill task work` starts one"
    return run.phrase
