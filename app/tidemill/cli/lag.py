"""`tidemill lag`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tidemill.cli.options import Config, load_program
from tidemill.settings import TopicsProgram


def lag(
    config: Config = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repeat until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each reading.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two readings.")] = 2,
) -> None:
    """Show how many messages wait, for how long, and when the job will catch up."""
    from contextlib import closing

    from tidemill.kafka.lag_reader import LagReader
    from tidemill.terminal import lag_watch
    from tidemill.terminal.console import console

    loaded = load_program(TopicsProgram, config)
    show = lag_watch.watch if watch else lag_watch.once
    with closing(LagReader(loaded.kafka, loaded.stream)) as reader:
        show(
            console(),
            loaded.stream.group_id,
            lambda: reader.read(time.time(), ages=True),
            every=every,
            as_json=as_json,
        )
