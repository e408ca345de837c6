"""The command line: arguments only. A command imports its code when it runs, so --help is fast."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

import tidemill
from tidemill import extras, logs, run
from tidemill.cli import job, watch
from tidemill.cli.dlq import dlq
from tidemill.cli.init import init
from tidemill.cli.options import screen

cli = typer.Typer(
    name="tidemill",
    help="Run machine-learning models on streams.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (init, job.stream, job.batch, job.check, job.stop, watch.lag, watch.health):
    cli.command()(command)
cli.add_typer(dlq, name="dlq")


@cli.command()
def version() -> None:
    """Print the version."""
    screen.print(tidemill.__version__)


def main() -> None:
    """Run the command line; a failure is one line and an exit code that says its kind."""
    logs.configure("console", "INFO")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as `python -m app` has it: one's own models lie beside
    try:
        with extras.required():
            cli()
    except Exception as error:  # noqa: BLE001 - the outermost place, where every error ends
        sys.exit(run.report(error))
