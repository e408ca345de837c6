"""`tidemill batch`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from tidemill.cli.options import Config, load, screen


def batch(
    source: Annotated[
        str, typer.Option("--input", "-i", help="A file or folder of JSON lines or Parquet.")
    ],
    target: Annotated[
        str, typer.Option("--output", "-o", help="A folder that does not exist yet.")
    ],
    config: Config = None,
) -> None:
    """Run the models on files, as `stream` does on topics."""
    from tidemill.terminal.progress import progress

    loaded = load(config)
    with progress() as show:
        show("loading Python's libraries")
        from tidemill.bootstrap.batch import batch as run_batch

        counts = run_batch(loaded, source, target, show)
    screen.print(
        f"messages: {counts.messages:,}, results: {counts.results:,}, "
        f"dead letters: {counts.dead_letters:,}, in {target}"
    )
    if counts.messages and not counts.results:
        screen.print(
            f"[yellow]no message got a result:[/] see {escape(target)}/outcome=dead-letters"
        )
