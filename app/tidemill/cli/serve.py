"""`tidemill serve`."""

from __future__ import annotations

import typer

from tidemill.cli.options import Config


def serve(config: Config = None) -> None:
    """Answer requests over HTTP and gRPC, until SIGTERM or Ctrl-C."""
    from tidemill import run

    raise typer.Exit(run.serve(config))
