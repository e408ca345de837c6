"""`tidemill predict`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli.options import Config, load_program

if TYPE_CHECKING:
    from typing import BinaryIO


def predict(
    source: Annotated[
        Path | None, typer.Option("--input", "-i", help="A file of JSON lines. Default: stdin.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option(help="A file for dead letters. Default: stderr.")
    ] = None,
    config: Config = None,
) -> None:
    """Run the models on JSON lines, without Spark or Kafka, and write results to stdout."""
    from tidemill import predict as door
    from tidemill.errors import InputUnreadable, OutputUnusable
    from tidemill.inference.route import all_specs
    from tidemill.models import catalogue
    from tidemill.settings import Program

    routes = catalogue.load_models(load_program(Program, config).models)
    with ExitStack() as files:
        results = files.enter_context(_take_stdout())
        door.load_models(all_specs(routes))
        lines, failed = sys.stdin.buffer, sys.stderr.buffer
        try:
            if source is not None:
                lines = files.enter_context(source.open("rb"))
        except OSError as error:
            hint = "Name a file of JSON lines with --input."
            raise InputUnreadable(source, error.strerror, hint) from None
        try:
            if dead_letters is not None:
                failed = files.enter_context(dead_letters.open("xb"))
        except OSError as error:
            hint = "Name a new file with --dead-letters."
            raise OutputUnusable(dead_letters, error.strerror, hint) from None
        counts = door.predict(routes, lines, results, failed)
    if sys.stderr.isatty():
        typer.echo(
            f"results: {counts['Prediction']:,}, dead letters: {counts['Failure']:,}", err=True
        )


def _take_stdout() -> BinaryIO:
    """Return standard output; what a model prints goes to standard error from now on."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return results
