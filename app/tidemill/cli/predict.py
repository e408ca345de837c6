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
    from typing import BinaryIO

    from tidemill.resume import Earlier

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
        bool, typer.Option(help="Continue where an earlier run with the same files ended.")
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
    from tidemill.bootstrap import predict as bootstrap
    from tidemill.cli.predict_files import open_input, open_outputs, read_token
    from tidemill.errors import TidemillError
    from tidemill.errors.base import HINT
    from tidemill.inference.route import all_specs
    from tidemill.models import catalogue
    from tidemill.settings import StoreProgram
    from tidemill.terminal.reading import reading

    settings = load_program(StoreProgram, config)
    routes = catalogue.load_models(settings.models)
    with ExitStack() as files:
        results = files.enter_context(_take_stdout())
        lines = sys.stdin.buffer if source is None else files.enter_context(open_input(source))
        earlier = _earlier(lines, output, dead_letters) if resume else None
        run = partial(door.predict, routes)
        if earlier:
            run = partial(run, is_done=earlier.is_done)
        if endpoint:
            token = None if token_file is None else read_token(token_file)
            engine = bootstrap.remote_engine(
                endpoint, batch_size, token=token, ca_file=ca_file, timeout=timeout
            )
            at_once = batch_size * concurrency
            run = partial(run, engine=files.enter_context(engine), at_once=at_once)
        else:
            engine = bootstrap.engine(settings.store, all_specs(routes))
            run = partial(run, engine=files.enter_context(engine))
            door.load_models(all_specs(routes))
        opened = open_outputs(files, output, dead_letters, resume=resume)
        results, failed = opened[0] or results, opened[1] or sys.stderr.buffer
        if dead_letters is not None and not results.isatty():  # else the bar would be torn
            lines = files.enter_context(reading(lines))
        try:
            counts = run(lines, results, failed)
        except TidemillError as error:
            if output is not None and dead_letters is not None:
                error.add_note(f"{HINT}Then run the command again with --resume.")
            raise
        if earlier:
            earlier.check_input()
    if sys.stderr.isatty():
        typer.echo(
            f"results: {counts['Prediction']:,}, dead letters: {counts['Failure']:,}", err=True
        )
    if endpoint and (counts["Failure"] or (earlier and earlier.dead)):
        raise typer.Exit(SOME_FAILED)


def _earlier(lines: BinaryIO, output: Path | None, dead_letters: Path | None) -> Earlier:
    """Return the outcomes of earlier runs."""
    from tidemill import resume
    from tidemill.cli.predict_files import check_different
    from tidemill.errors import OutputUnusable

    if output is None or dead_letters is None:
        raise typer.BadParameter("--resume needs the earlier files: --output and --dead-letters")
    try:
        check_different(lines, output, dead_letters)
        return resume.read(output, dead_letters)
    except OSError as error:
        raise OutputUnusable(error.filename or output, error.strerror, resume.HINT) from None


def _take_stdout() -> BinaryIO:
    """Return standard output; what a model prints goes to standard error from now on."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return results
