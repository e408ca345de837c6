"""`tidemill batch`."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer

from tidemill.cli.options import Config, load, screen

# There are more dead letters than the user accepts.
SOME_FAILED = 3


class EngineName(StrEnum):
    """What runs the models."""

    AUTO = "auto"
    LOCAL = "local"
    SPARK = "spark"


def _check_limit(limit: str | None) -> str | None:
    if limit is not None and not re.fullmatch(r"\d+|\d+(\.\d+)?%", limit, re.ASCII):
        raise typer.BadParameter(f"{limit!r} is neither a number nor a percentage such as 5%")
    return limit


MaxDeadLetters = Annotated[
    str | None,
    typer.Option(
        help="With more dead letters, as a number or 5%, exit with code 3.", callback=_check_limit
    ),
]
PartRows = Annotated[
    int, typer.Option(min=1, help="Rows that are saved together, and repeated after a kill.")
]


def batch(
    source: Annotated[
        str,
        typer.Option(
            "--input", "-i", help="A file or folder, if needed as FORMAT:PATH; or kafka:TOPIC."
        ),
    ],
    *,
    target: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="A folder that does not exist yet, or FORMAT:PATH; kafka:TOPIC."
        ),
    ],
    engine: Annotated[
        EngineName, typer.Option(help="What runs the models; auto: Spark from 256 MiB on.")
    ] = EngineName.AUTO,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="For kafka:TOPIC: earliest (default), a time, an age such as 2d, an offset, or "
            "0:120,1:98.",
        ),
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option("--to", help="latest (default), or as --from; it is not part of the range."),
    ] = None,
    max_dead_letters: MaxDeadLetters = None,
    part_rows: PartRows = 5000,
    config: Config = None,
) -> None:
    """Run the models on files, tables or a range of a topic, as `stream` does on topics.

    FORMAT is jsonl, csv, parquet or delta. A run that was ended continues if it is started again.
    """
    from tidemill.terminal.batch import show_summary
    from tidemill.terminal.progress import progress

    loaded = load(config)
    with progress() as show:
        show("loading Python's libraries")
        from tidemill.bootstrap.batch import batch as run_batch
        from tidemill.bootstrap.places import Bounds

        summary = run_batch(
            loaded,
            source,
            target,
            show,
            engine=engine.value,
            part_rows=part_rows,
            bounds=Bounds(start, stop),
        )
    show_summary(screen, summary)
    if is_exceeded(max_dead_letters, summary.dead_letters, summary.messages):
        raise typer.Exit(SOME_FAILED)


def is_exceeded(limit: str | None, dead_letters: int, messages: int) -> bool:
    """Tell whether there are more dead letters than a limit, a number or a percentage, allows."""
    if limit is None:
        return False
    if limit.endswith("%"):
        return dead_letters > messages * float(limit[:-1]) / 100
    return dead_letters > int(limit)
