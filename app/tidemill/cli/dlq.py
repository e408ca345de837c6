"""`tidemill dlq`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tidemill.cli.options import Config, load_program
from tidemill.errors import NotDelivered
from tidemill.settings import TopicsProgram

dlq = typer.Typer(help="List, show and replay dead letters.", no_args_is_help=True)
Errors = Annotated[
    list[str] | None, typer.Option("--error", "-e", help="Only this error class. Repeatable.")
]
Source = Annotated[str | None, typer.Option(help="Only messages from this topic.")]
Model = Annotated[str | None, typer.Option(help="Only this model, NAME:VERSION.")]
Since = Annotated[
    str | None, typer.Option(help="Not older: an ISO 8601 time, or an age such as 15m, 2h, 3d.")
]
Until = Annotated[str | None, typer.Option(help="Not newer; written like --since.")]


@dlq.command("list")
def list_letters(
    *,
    error: Errors = None,
    source: Source = None,
    model: Model = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Show only the newest N. Default: 20; with --json, all."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each.")] = False,
    config: Config = None,
) -> None:
    """Count dead letters by error class, and show the newest."""
    from tidemill.dead_letters import summary
    from tidemill.dead_letters.selection import choose
    from tidemill.terminal import dead_letters as view
    from tidemill.terminal.console import console

    loaded = load_program(TopicsProgram, config)
    selection = choose(
        now=time.time(), errors=error or (), source=source, model=model, since=since, until=until
    )
    letters = summary.select(loaded.kafka, loaded.stream.dead_letter_topic, selection)
    if as_json and limit is None:
        for letter in filter(None, letters):
            typer.echo(view.json_line(letter))
        return
    listing = summary.summarise(letters, limit or 20)
    if as_json:
        for letter in listing.newest:
            typer.echo(view.json_line(letter))
        return
    wide = console()
    if listing.newest:
        wide.print(view.classes_table(listing.classes))
        wide.print(view.letters_table(listing.newest))
    else:
        wide.print(f"no such dead letters on {loaded.stream.dead_letter_topic}")
    if listing.foreign:
        records = "record" if listing.foreign == 1 else "records"
        wide.print(f"skipped {listing.foreign:,} {records} that Tidemill did not write")


@dlq.command("show")
def show_letter(
    place: Annotated[str, typer.Argument(metavar="PARTITION/OFFSET")], config: Config = None
) -> None:
    """Show one dead letter in full."""
    from tidemill.dead_letters import summary
    from tidemill.dead_letters.selection import read_place
    from tidemill.terminal import dead_letters as view
    from tidemill.terminal.console import console

    loaded = load_program(TopicsProgram, config)
    letter = summary.get(loaded.kafka, loaded.stream.dead_letter_topic, read_place(place))
    wide = console()
    for part in view.letter_view(letter):
        wide.print(part, soft_wrap=not isinstance(part, Table))


@dlq.command("replay")
def replay_letters(
    *,
    places: Annotated[
        list[str] | None, typer.Argument(metavar="[PARTITION/OFFSET]...", show_default=False)
    ] = None,
    error: Errors = None,
    source: Source = None,
    model: Model = None,
    since: Since = None,
    until: Until = None,
    max_tries: Annotated[
        int | None, typer.Option(min=1, help="Exclude letters that were replayed this many times.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Include letters that were replayed or skipped earlier.")
    ] = False,
    send: Annotated[
        bool,
        typer.Option("--send", help="Send the letters. Without it, only show what would be sent."),
    ] = False,
    config: Config = None,
) -> None:
    """Send dead letters to the topics that they came from, each of them once."""
    from tidemill.dead_letters.replay import replay, replay_group
    from tidemill.dead_letters.selection import choose
    from tidemill.terminal import replay as view
    from tidemill.terminal.console import console
    from tidemill.terminal.dead_letters import time_of

    loaded = load_program(TopicsProgram, config)
    named = tuple(places or ())
    selection = choose(
        now=time.time(),
        errors=error or (),
        source=source,
        model=model,
        since=since,
        until=until,
        max_tries=max_tries,
        places=named,
    )
    wide = console()
    with view.progress(wide, "sending" if send else "reading") as on_read:
        report = replay(
            loaded.kafka, loaded.stream, selection, again=again, send=send, on_read=on_read
        )
    for part in view.report_tables(report, sent=send):
        wide.print(part)
    if not send and report.chosen:
        options = {
            "error": error,
            "source": source,
            "model": model,
            "since": time_of(selection.since),  # as a time, because an age would shift
            "until": time_of(selection.until),
            "max-tries": max_tries,
            "again": again,
        }
        command = view.sending_command(config, named, options)
        wide.print("Nothing was sent. To send them:", Text(command), soft_wrap=True)
    elif send and report.missing:
        raise NotDelivered(report.missing, report.chosen.total() + report.held.total())
    elif report.chosen:
        wide.print(
            f"delivered: {report.chosen.total():,} (progress: group {replay_group(loaded.stream)})"
        )
