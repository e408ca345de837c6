"""`tidemill explain`."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli.options import Config, load_program, models_on_stderr
from tidemill.cli.predict import SOME_FAILED

if TYPE_CHECKING:
    from tidemill.explain.explanation import Explanation, Writer
    from tidemill.explain.origin import Origin
    from tidemill.inference.message import Message

STDIN = "-"


def explain(
    *,
    topic: Annotated[str | None, typer.Option(help="The topic of the record.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Its partition.")] = None,
    offset: Annotated[int | None, typer.Option(min=0, help="Its offset.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            help="A file of JSON lines, perhaps .gz, instead of a topic; - is stdin.",
        ),
    ] = None,
    line: Annotated[int, typer.Option(min=1, help="The message's line in the file.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document, with nothing cut.")
    ] = False,
    config: Config = None,
) -> None:
    """Take one message through every step, and show what each does with it.

    Nothing is written or committed. The exit code is 3 if the message becomes a dead letter.
    """
    from tidemill.bootstrap.explain import explain_isolated, read_record, topic_writer
    from tidemill.explain.explanation import record_of
    from tidemill.models import catalogue
    from tidemill.settings import ExplainProgram, StoreProgram
    from tidemill.terminal import explain as view
    from tidemill.terminal.console import console
    from tidemill.terminal.progress import progress

    with ExitStack() as busy:
        show = busy.enter_context(progress())
        if source is not None and topic is None and partition is None and offset is None:
            write: Writer = record_of
            program = load_program(StoreProgram, config)
            routes, store = catalogue.load_models(program.models), program.store
            message, origin = _read_file(source, line)
        elif source is None and topic and partition is not None and offset is not None:
            settings = load_program(ExplainProgram, config)
            routes, store = catalogue.load_models(settings.models), settings.store
            show("reading", record=f"{topic}/{partition}/{offset}")
            message, origin = read_record(settings, topic, partition, offset)
            write = topic_writer(settings)
        else:
            raise typer.BadParameter(
                "name a record with --topic, --partition and --offset, or a line with --input"
            )
        # The explanation has the traceback.
        logging.getLogger("tidemill.inference.traces").setLevel(logging.ERROR)
        busy.enter_context(models_on_stderr())
        explanation = explain_isolated(routes, message, origin, write, show, store=store)
    if as_json:
        typer.echo(view.document(explanation))
    else:
        for part in view.parts(explanation):
            console().print(part)
    raise typer.Exit(_exit_code(explanation))


def _read_file(source: Path, line: int) -> tuple[Message, Origin]:
    from tidemill.explain.messages import open_lines, read_line

    if str(source) == STDIN:
        return read_line("standard input", sys.stdin.buffer, line)
    with open_lines(source) as lines:
        return read_line(str(source), lines, line)


def _exit_code(explanation: Explanation) -> int:
    from tidemill import run
    from tidemill.errors import TidemillError

    if isinstance(explanation.result, TidemillError):
        return run.exit_code(explanation.result)
    return SOME_FAILED if explanation.verdict == "dead letter" else 0
