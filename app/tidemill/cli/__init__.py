"""Define the command line. Each command imports its code when it runs, so that --help is fast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import tidemill
from tidemill import extras, logs, run
from tidemill.cli.backfill import backfill
from tidemill.cli.batch import batch
from tidemill.cli.check import check
from tidemill.cli.dlq import dlq
from tidemill.cli.explain import explain
from tidemill.cli.health import health
from tidemill.cli.init import init
from tidemill.cli.lag import lag
from tidemill.cli.models import models
from tidemill.cli.options import screen
from tidemill.cli.pack import pack
from tidemill.cli.predict import predict
from tidemill.cli.serve import serve
from tidemill.cli.stop import stop
from tidemill.cli.store import store
from tidemill.cli.stream import stream
from tidemill.cli.task import task

cli = typer.Typer(
    name="tidemill",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
for command in (
    *(init, predict, batch, backfill, stream, serve),
    *(check, explain, stop, lag, health),
):
    cli.command()(command)
cli.add_typer(models, name="models")
cli.add_typer(pack, name="pack")
cli.add_typer(dlq, name="dlq")
cli.add_typer(store, name="store")
cli.add_typer(task, name="task")


@cli.command()
def version() -> None:
    """Print the version."""
    screen.print(tidemill.__version__)


@cli.callback()
def options(
    *,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Run machine-learning models on streams."""
    if show_version:
        version()
        raise typer.Exit


def main() -> None:
    """Run the command line; log a failure as one line, and exit with its exit code."""
    logs.configure("console", "INFO")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as with `python -m`, to find the user's own models
    try:
        with extras.required():
            cli()
    except Exception as error:  # noqa: BLE001 - the outermost handler
        sys.exit(run.report(error))
