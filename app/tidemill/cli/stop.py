"""`tidemill stop`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tidemill.cli.options import Config, load_program, screen
from tidemill.settings import TopicsProgram


def stop(
    config: Config = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait until the job acknowledges it.")
    ] = 30,
) -> None:
    """Stop a running job that no signal can reach, as under spark-submit."""
    from tidemill.errors import StopNotAcknowledged
    from tidemill.streaming.checkpoint.stop_marker import StopMarker

    marker = StopMarker.for_checkpoint(
        load_program(TopicsProgram, config).stream.checkpoint_location
    )
    marker.create()
    deadline = time.monotonic() + timeout
    while marker.exists():
        if time.monotonic() > deadline:
            marker.remove()
            raise StopNotAcknowledged(marker.path, timeout)
        time.sleep(0.2)
    screen.print("the job is stopping")
