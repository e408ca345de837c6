"""`tidemill store`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli.options import Config, load_program, screen
from tidemill.settings import StoreProgram

if TYPE_CHECKING:
    from tidemill.settings import StoreSettings
    from tidemill.store.rows import Row
    from tidemill.store.store import Store
    from tidemill.store.table import Table

store = typer.Typer(
    help="Load features and predictions into the store, and look them up.", no_args_is_help=True
)
TableName = Annotated[str, typer.Argument(metavar="TABLE", help="A table of the store.")]


@store.command()
def load(
    table: TableName,
    file: Annotated[
        str,
        typer.Argument(
            help="A file or folder, if needed as FORMAT:PATH; - is JSON lines from standard input."
        ),
    ],
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(help="A key column of a table that is not in the settings. Repeatable."),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="The version of the model that made the rows.")
    ] = None,
    no_swap: Annotated[
        bool, typer.Option("--no-swap", help="Only load; `swap` makes the rows visible.")
    ] = False,
    config: Config = None,
) -> None:
    """Load a file as a new generation of a table, and swap it in at once for all readers."""
    from tidemill.batch.values import values

    with _opened(config) as (opened, settings):
        started = time.perf_counter()
        rows: Iterator[Row] = iter(sys.stdin.buffer) if file == "-" else values(file)
        described, rows = _described(opened, settings, table, tuple(key or ()), rows)
        loaded = opened.load(described, rows, version=version, source=file, swap_in=not no_swap)
        seconds = time.perf_counter() - started
        state = "is live" if loaded.live else "is ready"
        screen.print(
            f"generation {loaded.generation} of {table} {state}: {loaded.rows:,} rows, "
            f"{loaded.rows / seconds:,.0f} rows/s"
        )
        if not loaded.live and not no_swap:
            screen.print(
                "A load that began later is live. To replace it: "
                f"tidemill store swap {table} {loaded.generation}"
            )


@store.command()
def swap(
    table: TableName,
    generation: Annotated[
        int | None, typer.Argument(help="Default: the newest that is ready.")
    ] = None,
    config: Config = None,
) -> None:
    """Make a generation live that was loaded with --no-swap, or any other one that is there."""
    with _opened(config) as (opened, _):
        screen.print(f"generation {opened.swap(table, generation)} of {table} is live")


@store.command()
def rollback(table: TableName, config: Config = None) -> None:
    """Make the generation live that precedes the live one."""
    with _opened(config) as (opened, _):
        screen.print(f"generation {opened.rollback(table)} of {table} is live")


@store.command()
def get(
    table: TableName,
    keys: Annotated[
        list[str], typer.Argument(help="Keys; one of several columns is a JSON array.")
    ],
    *,
    as_of: Annotated[
        str | None, typer.Option(help="Of a table with history: the rows of this time (ISO 8601).")
    ] = None,
    config: Config = None,
) -> None:
    """Look keys up, and print a line of JSON for each; `values` is null for a miss."""
    from tidemill.terminal import store as view

    with _opened(config) as (opened, _):
        described = opened.table(table)
        parsed = [described.parse_key(text) for text in keys]
        if as_of is None:
            found = opened.get(table, parsed)
        else:
            moment = view.read_time(as_of)
            found = opened.as_of(table, [(key, moment) for key in parsed])
        for key, row in zip(parsed, found.rows, strict=True):
            typer.echo(view.row_line(key, row, found.generation))


@store.command()
def stats(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each table.")
    ] = False,
    config: Config = None,
) -> None:
    """Show the tables, their generations and the positions of their streams."""
    from tidemill.terminal import store as view
    from tidemill.terminal.console import console

    with _opened(config) as (opened, settings):
        listed = opened.stats(count=True)
        if as_json:
            for each in listed:
                typer.echo(view.stats_line(each))
        elif listed:
            console().print(view.stats_table(listed, time.time()))
        else:
            screen.print(f"the store at {settings.url} has no tables")


@store.command()
def drop(
    table: TableName,
    *,
    generation: Annotated[
        int | None, typer.Option(help="Drop only this generation, which must not be live.")
    ] = None,
    config: Config = None,
) -> None:
    """Drop a table with all its generations, or one generation."""
    with _opened(config) as (opened, _):
        opened.drop(table, generation)
        what = table if generation is None else f"generation {generation} of {table}"
        screen.print(f"dropped {what}")


@store.command()
def follow(
    table: TableName,
    topic: Annotated[str, typer.Argument(help="A topic whose values are rows of the table.")],
    *,
    group: Annotated[
        str | None,
        typer.Option(help="The consumer group that shows the lag. Default: tidemill-store-TABLE."),
    ] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop at the end of the topic.")
    ] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Log records that do not fit, and go on.")
    ] = False,
    config: Config = None,
) -> None:
    """Write what a topic has, and what arrives, into a table: each record once."""
    from tidemill.bootstrap.follow import follow as program
    from tidemill.settings import FollowProgram

    settings = load_program(FollowProgram, config)
    program(settings, table, topic, group, until_end=until_end, skip_invalid=skip_invalid)


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Store, StoreSettings]]:
    from tidemill.bootstrap.store import open_store

    settings = load_program(StoreProgram, config).store
    with open_store(settings) as opened:
        yield opened, settings


def _described(
    opened: Store, settings: StoreSettings, name: str, key: tuple[str, ...], rows: Iterator[Row]
) -> tuple[Table, Iterator[Row]]:
    """Return a table as the settings, its first rows or its last load describe it."""
    from tidemill.bootstrap.store import tables
    from tidemill.store.infer import infer

    listed = tables(settings)
    if name in listed:
        return listed[name], rows
    return infer(name, key, rows) if key else (opened.table(name), rows)
