"""`tidemill predict`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli.options import Config, load_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from tidemill.inference.message import Message

# Every line has an outcome, but for some lines it is a dead letter.
SOME_FAILED = 3


def predict(
    *,
    source: Annotated[
        Path | None, typer.Option("--input", "-i", help="A file of JSON lines. Default: stdin.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file for results. Default: stdout.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option(help="A file for dead letters. Default: stderr.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on where an earlier run with the same files ended.")
    ] = False,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(help="Have servers run the models, such as http://HOST:8080; repeatable."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token for the servers.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="A PEM file with the authorities to trust.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds for a request to a server, with its retries.")
    ] = 60.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Inputs in a request to a server.")] = 32,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests to servers at once.")] = 8,
    config: Config = None,
) -> None:
    """Run the models on JSON lines, without Spark or Kafka, and write results to stdout.

    With --endpoint, servers run the models, and the exit code is 3 if there are dead letters.
    """
    from tidemill import predict as door
    from tidemill.inference.route import all_specs
    from tidemill.models import catalogue
    from tidemill.settings import Program
    from tidemill.terminal.reading import reading

    is_done = _done_before(output, dead_letters) if resume else lambda _: False
    routes = catalogue.load_models(load_program(Program, config).models)
    with ExitStack() as files:
        results = files.enter_context(_take_stdout())
        run = partial(door.predict, routes, is_done=is_done)
        if endpoint:
            from tidemill.bootstrap.predict import remote_engine

            token = None if token_file is None else _token(token_file)
            engine = remote_engine(
                endpoint, batch_size, token=token, ca_file=ca_file, timeout=timeout
            )
            at_once = batch_size * concurrency
            run = partial(run, engine=files.enter_context(engine), at_once=at_once)
        else:
            door.load_models(all_specs(routes))
        lines, failed = sys.stdin.buffer, sys.stderr.buffer
        if source is not None:
            lines = files.enter_context(_input(source))
        if dead_letters is not None:
            failed = files.enter_context(_new(dead_letters, "--dead-letters", resume))
        if output is not None:
            results = files.enter_context(_new(output, "--output", resume))
        if dead_letters is not None and not results.isatty():  # else the bar would be torn
            lines = files.enter_context(reading(lines))
        counts = run(lines, results, failed)
    if sys.stderr.isatty():
        typer.echo(
            f"results: {counts['Prediction']:,}, dead letters: {counts['Failure']:,}", err=True
        )
    if endpoint and counts["Failure"]:
        raise typer.Exit(SOME_FAILED)


def _done_before(output: Path | None, dead_letters: Path | None) -> Callable[[Message], bool]:
    """Return what tells which lines an earlier run has answered."""
    from tidemill import resume
    from tidemill.errors import OutputUnusable

    if output is None or dead_letters is None:
        raise typer.BadParameter("--resume needs the earlier files: --output and --dead-letters")
    try:
        return resume.done_before(output, dead_letters)
    except (OSError, ValueError) as error:
        hint = "Name the files of an earlier run, or leave out --resume."
        raise OutputUnusable(dead_letters, error, hint) from None


def _input(path: Path) -> BinaryIO:
    from tidemill.errors import InputUnreadable

    try:
        return path.open("rb")
    except OSError as error:
        hint = "Name a file of JSON lines with --input."
        raise InputUnreadable(path, error.strerror, hint) from None


def _new(path: Path, option: str, resume: bool) -> BinaryIO:
    from tidemill.errors import OutputUnusable

    try:
        return path.open("ab" if resume else "xb")
    except OSError as error:
        hint = f"Name a new file with {option}."
        raise OutputUnusable(path, error.strerror, hint) from None


def _token(path: Path) -> str:
    from tidemill.errors import InputUnreadable

    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        hint = "Name the file of a token with --token-file."
        raise InputUnreadable(path, error, hint) from None


def _take_stdout() -> BinaryIO:
    """Return standard output; what a model prints goes to standard error from now on."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return results
