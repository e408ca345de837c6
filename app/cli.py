"""The command line: arguments only, no logic."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

import app
from app import bootstrap, logs, run, settings
from app.check import check as check_settings
from app.errors import StopNotAcknowledged
from app.streaming.marker import StopMarker

cli = typer.Typer(
    name="tidemill",
    help="Run machine-learning models on streams.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings, a YAML file. Default: ./config.yaml if there."),
]
screen = Console(highlight=False)


@cli.command()
def stream(config: Config = None) -> None:
    """Answer the messages of Kafka topics until told to stop (SIGTERM, Ctrl-C, `stop`)."""
    raise typer.Exit(run.stream(config))


@cli.command()
def batch(
    source: Annotated[str, typer.Option("--input", "-i", help="JSON lines or Parquet.")],
    target: Annotated[str, typer.Option("--output", "-o", help="A folder that is not there yet.")],
    config: Config = None,
) -> None:
    """Answer the messages of files, as the stream would."""
    with screen.status("Answering …"):
        counts = bootstrap.batch(_load(config), source, target)
    screen.print(
        f"messages: {counts.messages:,}, results: {counts.results:,}, "
        f"dead letters: {counts.dead_letters:,}, in {target}"
    )


@cli.command()
def check(config: Config = None) -> None:
    """Validate a configuration: settings, Java, models, broker, topics."""
    loaded = _load(config)
    screen.print("[green]✓[/] settings")
    codes = {0}
    for finding in check_settings(loaded):
        sign = "[red]✗[/]" if finding.error else "[green]✓[/]"
        screen.print(f"{sign} {escape(finding.subject)}: {escape(finding.said)}", soft_wrap=True)
        codes.add(run.exit_code(finding.error) if finding.error else 0)
    raise typer.Exit(max(codes))


@cli.command()
def stop(
    config: Config = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the job to see it.")] = 30,
) -> None:
    """Ask a running job to stop where no signal reaches it, as under spark-submit."""
    marker = StopMarker.beside(_load(config).stream.checkpoint_location)
    marker.leave()
    deadline = time.monotonic() + timeout
    while marker.is_there():
        if time.monotonic() > deadline:
            marker.take()
            raise StopNotAcknowledged(marker.path, timeout)
        time.sleep(0.2)
    screen.print("the job is stopping")


@cli.command()
def version() -> None:
    """Print the version."""
    screen.print(app.__version__)


def _load(config: Path | None) -> settings.Settings:
    loaded = settings.load(config)
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded


def main() -> None:
    """Run the command line; a failure is one line and an exit code that says its kind."""
    logs.configure("console", "INFO")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as `python -m app` has it: one's own models lie beside
    try:
        cli()
    except Exception as error:  # noqa: BLE001 - the outermost place, where every error ends
        sys.exit(run.report(error))
