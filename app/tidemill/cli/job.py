"""`tidemill stream`, `batch`, `check` and `stop`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.markup import escape

from tidemill.cli.options import Config, load, screen


def stream(config: Config = None) -> None:
    """Answer the messages of Kafka topics, until SIGTERM, Ctrl-C or `tidemill stop`."""
    from tidemill import run

    raise typer.Exit(run.stream(config))


def batch(
    source: Annotated[
        str, typer.Option("--input", "-i", help="A file or folder of JSON lines or Parquet.")
    ],
    target: Annotated[
        str, typer.Option("--output", "-o", help="A folder that does not exist yet.")
    ],
    config: Config = None,
) -> None:
    """Answer the messages of files, as the stream does."""
    from tidemill.terminal.progress import progress

    loaded = load(config)
    with progress() as show:
        show("loading Python's libraries")
        from tidemill import bootstrap

        counts = bootstrap.batch(loaded, source, target, show)
    screen.print(
        f"messages: {counts.messages:,}, results: {counts.results:,}, "
        f"dead letters: {counts.dead_letters:,}, in {target}"
    )


def check(config: Config = None) -> None:
    """Check settings, Java, models, ports, broker and topics before a start."""
    from tidemill import check as checking
    from tidemill import run

    loaded = load(config)
    screen.print("[green]✓[/] settings")
    codes = {0}
    for finding in checking.check(loaded):
        sign = "[red]✗[/]" if finding.error else "[green]✓[/]"
        screen.print(f"{sign} {escape(finding.subject)}: {escape(finding.message)}", soft_wrap=True)
        if finding.hint:
            screen.print(f"  hint: {escape(finding.hint)}", soft_wrap=True)
        codes.add(run.exit_code(finding.error) if finding.error else 0)
    raise typer.Exit(max(codes))


def stop(
    config: Config = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait until the job acknowledges it.")
    ] = 30,
) -> None:
    """Stop a running job that no signal can reach, as under spark-submit."""
    from tidemill.errors import StopNotAcknowledged
    from tidemill.streaming.checkpoint.stop_marker import StopMarker

    marker = StopMarker.for_checkpoint(load(config).stream.checkpoint_location)
    marker.create()
    deadline = time.monotonic() + timeout
    while marker.exists():
        if time.monotonic() > deadline:
            marker.remove()
            raise StopNotAcknowledged(marker.path, timeout)
        time.sleep(0.2)
    screen.print("the job is stopping")
