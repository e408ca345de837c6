"""`tidemill stream`."""

from __future__ import annotations

import typer

from tidemill.cli.options import Config


def stream(config: Config = None) -> None:
    """Process messages from Kafka topics, until SIGTERM, Ctrl-C or `tidemill stop`."""
    from tidemill import run

    raise typer.Exit(run.stream(config))
