"""`tidemill backfill`."""

from __future__ import annotations

from typing import Annotated

import typer

from tidemill.cli.batch import SOME_FAILED, EngineName, MaxDeadLetters, PartRows, is_exceeded
from tidemill.cli.options import Config, load, screen


def backfill(
    topic: Annotated[str, typer.Option("--topic", "-t", help="The topic to read.")],
    *,
    target: Annotated[
        str,
        typer.Option("--output", "-o", help="A folder that does not exist yet, or kafka:TOPIC."),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="NAME or NAME:VERSION of models.yaml. Default: all."),
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--from", help="earliest, a time, an age such as 2d, an offset, or 0:120,1:98."
        ),
    ] = "earliest",
    stop: Annotated[
        str, typer.Option("--to", help="latest, or as --from; it is not part of the range.")
    ] = "latest",
    compare: Annotated[
        bool, typer.Option(help="Compare with the results that the stream has written.")
    ] = True,
    engine: Annotated[
        EngineName, typer.Option(help="What runs the models; auto: Spark for large ranges.")
    ] = EngineName.AUTO,
    max_dead_letters: MaxDeadLetters = None,
    part_rows: PartRows = 5000,
    config: Config = None,
) -> None:
    """Run a model over a range of a topic, beside the stream, and show what differs.

    The stream, its consumer group and its topics stay as they are.
    """
    from tidemill.terminal.batch import show_summary
    from tidemill.terminal.differences import show_differences
    from tidemill.terminal.progress import progress

    loaded = load(config)
    with progress() as show:
        show("loading Python's libraries")
        from tidemill.bootstrap.backfill import backfill as run_backfill
        from tidemill.bootstrap.places import Bounds

        summary, found = run_backfill(
            loaded,
            topic,
            target,
            show,
            model=model,
            bounds=Bounds(start, stop),
            with_live=compare,
            engine=engine.value,
            part_rows=part_rows,
        )
    show_summary(screen, summary)
    if found is not None:
        show_differences(screen, found)
    if is_exceeded(max_dead_letters, summary.dead_letters, summary.messages):
        raise typer.Exit(SOME_FAILED)
