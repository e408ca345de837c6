"""`tidemill health`."""

from __future__ import annotations

from typing import Annotated

import typer

from tidemill.cli.options import Config, load, screen


def health(
    config: Config = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask /readyz instead of /healthz.")
    ] = False,
) -> None:
    """Ask a running job whether it is alive or ready; exit code 0 or 1, for exec probes."""
    from tidemill.monitoring.probe import ask

    loaded = load(config)
    path = "/readyz" if ready else "/healthz"
    succeeded, answer = ask(loaded.monitoring, loaded.stream.group_id, path)
    screen.print(answer, markup=False)
    raise typer.Exit(0 if succeeded else 1)
