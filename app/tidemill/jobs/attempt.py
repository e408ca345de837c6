"""Run a batch, or continue what an earlier attempt at the same run has left."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidemill.batch import run as batches
from tidemill.batch.formats import FORMATS
from tidemill.batch.run import Order
from tidemill.batch.staging import SUMMARY
from tidemill.batch.summary import Summary
from tidemill.bootstrap.batch import engines
from tidemill.bootstrap.places import place
from tidemill.errors import OutputExists, OutputInUse
from tidemill.jobs.chosen import every_row, load
from tidemill.jobs.confined import OUTPUT_HINT, readable, writable
from tidemill.jobs.place import split
from tidemill.units import counted

if TYPE_CHECKING:
    from tidemill.batch.meter import Progress
    from tidemill.jobs.batch import Batch, Parameters
    from tidemill.settings import Settings
    from tidemill.tasks.report import Report

POLL_S: Final = 0.5


def answer(job: Batch, parameters: Parameters, report: Report) -> dict[str, Any]:
    """Return the summary of a batch, with its places as a client names them.

    Raises:
        TidemillError: The input cannot be read, the output exists, or a model does not work.

    """
    settings, routes = load(job.config)
    routes = every_row(routes, parameters.model)
    given, wanted = split(parameters.input), split(parameters.output or report.run)
    source = place(str(readable(job.inputs, given.path)), given.format)
    target = place(str(writable(job.outputs, wanted.path)), wanted.format or source.format)
    order = Order(source, target, routes, job.part_rows, id=report.run)
    summary = _answered(order, wanted.path, settings, report)
    named = {
        "input": f"{source.format}:{given.path}",
        "output": f"{target.format}:{wanted.path}",
    }
    return dict(msgspec.to_builtins(summary, str_keys=True)) | named


def _answered(order: Order, name: str, settings: Settings, report: Report) -> Summary:
    """Return the summary of a batch, which this attempt runs unless an earlier one has ended it."""
    share = 0.0

    def show(step: str, **words: str) -> None:
        if not words:  # `tell` has the numbers
            report(share, step)

    def tell(progress: Progress) -> None:
        nonlocal share
        share = progress.share
        dead = counted(progress.dead_letters, "dead letter")
        report(share, f"{counted(progress.rows, 'row')}, {dead}")

    engine = engines(settings, order.routes, "local", show)
    while not os.path.lexists(order.target.location):
        try:
            return batches.run(order, FORMATS, engine, show=show, on_progress=tell)
        except OutputInUse:
            if report.attempt == 1:
                raise
            report(share, "waiting until an earlier attempt ends")
            time.sleep(POLL_S)
    return _published(order, name)


def _published(order: Order, name: str) -> Summary:
    """Return the summary of an output that an earlier attempt at this run has published.

    Raises:
        OutputExists: It is not this run's.

    """
    try:
        written = Path(order.target.location, SUMMARY).read_bytes()
        summary = msgspec.json.decode(written, type=Summary)
    except (OSError, msgspec.MsgspecError):
        summary = None
    if summary is None or summary.id != order.id:
        raise OutputExists(name, OUTPUT_HINT)
    return summary
