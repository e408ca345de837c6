"""The command line: arguments only, no logic."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import app
from app import bootstrap, logs, run, settings
from app.check import check as check_settings
from app.errors import NotDelivered, StopNotAcknowledged
from app.streaming.marker import StopMarker

cli = typer.Typer(
    name="tidemill",
    help="Run machine-learning models on streams.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings, a YAML file. Default: ./config.yaml if there."),
]
screen = Console(highlight=False)

dlq = typer.Typer(help="Look at dead letters, and send them again.", no_args_is_help=True)
cli.add_typer(dlq, name="dlq")
Errors = Annotated[
    list[str] | None, typer.Option("--error", "-e", help="Of this error class. Repeatable.")
]
Source = Annotated[str | None, typer.Option(help="From this topic.")]
Model = Annotated[str | None, typer.Option(help="Of this model, NAME:VERSION.")]
Since = Annotated[str | None, typer.Option(help="Not before: ISO 8601, or an age: 15m, 2h, 3d.")]
Until = Annotated[str | None, typer.Option(help="Not after; written as --since.")]


@cli.command()
def stream(config: Config = None) -> None:
    """Answer the messages of Kafka topics until told to stop (SIGTERM, Ctrl-C, `stop`)."""
    raise typer.Exit(run.stream(config))


@cli.command()
def batch(
    source: Annotated[str, typer.Option("--input", "-i", help="JSON lines or Parquet.")],
    target: Annotated[str, typer.Option("--output", "-o", help="A folder that is not there yet.")],
    config: Config = None,
) -> None:
    """Answer the messages of files, as the stream would."""
    with screen.status("Answering …"):
        counts = bootstrap.batch(_load(config), source, target)
    screen.print(
        f"messages: {counts.messages:,}, results: {counts.results:,}, "
        f"dead letters: {counts.dead_letters:,}, in {target}"
    )


@cli.command()
def check(config: Config = None) -> None:
    """Validate a configuration: settings, Java, models, broker, topics."""
    loaded = _load(config)
    screen.print("[green]✓[/] settings")
    codes = {0}
    for finding in check_settings(loaded):
        sign = "[red]✗[/]" if finding.error else "[green]✓[/]"
        screen.print(f"{sign} {escape(finding.subject)}: {escape(finding.said)}", soft_wrap=True)
        codes.add(run.exit_code(finding.error) if finding.error else 0)
    raise typer.Exit(max(codes))


@cli.command()
def lag(
    config: Config = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, a line a look.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2,
) -> None:
    """Show how many messages wait, for how long, and when the job will have caught up."""
    from contextlib import closing

    from app.monitoring.lag import LagReader
    from app.screen import looks

    loaded = _load(config)
    show = looks.watch if watch else looks.once
    with closing(LagReader(loaded.kafka, loaded.stream)) as reader:
        show(
            screen,
            loaded.stream.group_id,
            lambda: reader.look(time.time(), ages=True),
            every=every,
            as_json=as_json,
        )


@cli.command()
def stop(
    config: Config = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the job to see it.")] = 30,
) -> None:
    """Ask a running job to stop where no signal reaches it, as under spark-submit."""
    marker = StopMarker.beside(_load(config).stream.checkpoint_location)
    marker.leave()
    deadline = time.monotonic() + timeout
    while marker.is_there():
        if time.monotonic() > deadline:
            marker.take()
            raise StopNotAcknowledged(marker.path, timeout)
        time.sleep(0.2)
    screen.print("the job is stopping")


@cli.command()
def version() -> None:
    """Print the version."""
    screen.print(app.__version__)


@dlq.command("list")
def list_letters(
    *,
    error: Errors = None,
    source: Source = None,
    model: Model = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The newest. Default: 20; with --json all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line each.")] = False,
    config: Config = None,
) -> None:
    """Count dead letters by error class, and show the newest."""
    from app.dead_letters import listing
    from app.dead_letters.selection import choose
    from app.screen import dead_letters as view

    loaded = _load(config)
    selection = choose(
        now=time.time(), errors=error or (), source=source, model=model, since=since, until=until
    )
    found = listing.chosen(loaded.kafka, loaded.stream.dead_letter_topic, selection)
    if as_json and limit is None:
        for letter in filter(None, found):
            typer.echo(view.json_line(letter))
        return
    listed = listing.listing(found, limit or 20)
    if as_json:
        for letter in listed.newest:
            typer.echo(view.json_line(letter))
        return
    wide = view.console()
    wide.print(view.classes_table(listed.classes))
    if listed.newest:
        wide.print(view.letters_table(listed.newest))
    if listed.foreign:
        wide.print(f"no dead letters of Tidemill, passed over: {listed.foreign:,}")


@dlq.command("show")
def show_letter(
    place: Annotated[str, typer.Argument(metavar="PARTITION/OFFSET")], config: Config = None
) -> None:
    """Show one dead letter whole."""
    from app.dead_letters import listing
    from app.dead_letters.selection import read_place
    from app.screen import dead_letters as view

    loaded = _load(config)
    letter = listing.one(loaded.kafka, loaded.stream.dead_letter_topic, read_place(place))
    wide = view.console()
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
        int | None, typer.Option(min=1, help="Leave out what was replayed so often.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Take what was replayed or passed over earlier too.")
    ] = False,
    send: Annotated[
        bool, typer.Option("--send", help="Send them; without, only show what would be sent.")
    ] = False,
    config: Config = None,
) -> None:
    """Send dead letters to the topics that they came from, each once."""
    from app.dead_letters.replay import group_of, replay
    from app.dead_letters.selection import choose
    from app.screen import dead_letters as view

    loaded = _load(config)
    named = tuple(places or ())
    chosen = {"source": source, "model": model, "since": since, "until": until}
    selection = choose(
        now=time.time(), errors=error or (), max_tries=max_tries, places=named, **chosen
    )
    wide = view.console()
    with view.progress(wide, "sending" if send else "looking") as looked:
        report = replay(
            loaded.kafka, loaded.stream, selection, again=again, send=send, looked=looked
        )
    for part in view.report_tables(report, sent=send):
        wide.print(part)
    if not send and report.chosen:
        options = {"error": error, **chosen, "max-tries": max_tries, "again": again}
        command = view.sending_command(config, named, options)
        wide.print("nothing was sent; this sends it:", Text(command), soft_wrap=True)
    elif send and report.missing:
        raise NotDelivered(report.missing, report.chosen.total() + report.held.total())
    elif send:
        wide.print(
            f"delivered: {report.chosen.total():,}, noted in the group {group_of(loaded.stream)}"
        )


def _load(config: Path | None) -> settings.Settings:
    loaded = settings.load(config)
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded


def main() -> None:
    """Run the command line; a failure is one line and an exit code that says its kind."""
    logs.configure("console", "INFO")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as `python -m app` has it: one's own models lie beside
    try:
        cli()
    except Exception as error:  # noqa: BLE001 - the outermost place, where every error ends
        sys.exit(run.report(error))
