"""Run a model over a large input as a task: `tidemill batch`, with the paths of a client."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pydantic import BaseModel, Field

from tidemill.errors import OutputExists, OutputInUse
from tidemill.jobs import confined
from tidemill.jobs.cancelled import ends_at_once
from tidemill.jobs.chosen import every_row, load
from tidemill.units import counted

if TYPE_CHECKING:
    from tidemill.batch.meter import Progress
    from tidemill.batch.run import Order
    from tidemill.batch.summary import Summary
    from tidemill.settings import Settings
    from tidemill.tasks.report import Report

POLL_S: Final = 0.5


class Parameters(BaseModel):
    """What to answer, and where the answers go."""

    input: confined.Place = Field(
        description="A file, folder or table within the job's folder of inputs, if needed as "
        "FORMAT:PATH. FORMAT is jsonl, csv, parquet or delta.",
        examples=["reviews.jsonl", "csv:exports/june"],
    )
    output: confined.Place | None = Field(
        None,
        description="A new folder within the job's folder of outputs, if needed as FORMAT:PATH. "
        "By default it is named by the id of the run. The format is by default that of the input.",
        examples=["scored", "parquet:scored/june"],
    )
    model: str | None = Field(
        None,
        description="NAME or NAME:VERSION of the models file: this model answers every row. "
        "By default each row goes to the model whose entry matches it.",
    )


class Batch:
    """Answers every row of a file, folder or table. An attempt continues where the last ended."""

    def __init__(self, config: str, inputs: str, outputs: str, part_rows: int = 5000) -> None:
        """Take the settings file with the models, and the folders that clients may read and write.

        `part_rows` is the number of rows that are saved together, and repeated after a crash.
        """
        self._config = config
        self._inputs = inputs
        self._outputs = outputs
        self._part_rows = part_rows

    def run(self, parameters: Parameters, report: Report) -> dict[str, Any]:
        """Return the summary of the batch.

        Raises:
            TidemillError: The input cannot be read, the output exists, or a model does not work.

        """
        from tidemill.batch.run import Order  # noqa: PLC0415 - an extra, and slow to import
        from tidemill.bootstrap.places import place  # noqa: PLC0415

        with ends_at_once():
            settings, routes = load(self._config)
            routes = every_row(routes, parameters.model)
            kind, path = confined.split(parameters.input)
            source = place(str(confined.readable(self._inputs, path)), kind)
            kind, name = confined.split(parameters.output or report.run)
            folder = confined.writable(self._outputs, name)
            target = place(str(folder), kind or source.format)
            order = Order(source, target, routes, self._part_rows, id=report.run)
            summary = _answered(order, name, settings, report)
        places = {"input": f"{source.format}:{path}", "output": f"{target.format}:{name}"}
        return dict(msgspec.to_builtins(summary, str_keys=True)) | places


def _answered(order: Order, name: str, settings: Settings, report: Report) -> Summary:
    """Return the summary of a batch, which this attempt runs unless an earlier one has ended it."""
    from tidemill.batch import run as batches  # noqa: PLC0415 - an extra, and slow to import
    from tidemill.batch.formats import FORMATS  # noqa: PLC0415
    from tidemill.bootstrap.batch import engines  # noqa: PLC0415

    share = 0.0

    def show(step: str, **words: str) -> None:
        if not words:  # they are those of `tell`
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
    from tidemill.batch.staging import SUMMARY  # noqa: PLC0415 - an extra
    from tidemill.batch.summary import Summary  # noqa: PLC0415

    try:
        written = Path(order.target.location, SUMMARY).read_bytes()
        summary = msgspec.json.decode(written, type=Summary)
    except (OSError, msgspec.MsgspecError):
        summary = None
    if summary is None or summary.id != order.id:
        raise OutputExists(name, confined.OUTPUT_HINT)
    return summary
