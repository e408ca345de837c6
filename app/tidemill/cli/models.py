"""`tidemill models`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tidemill.cli.options import Config, load_program, models_on_stderr
from tidemill.errors import InputUnreadable, TidemillError
from tidemill.settings import Program

if TYPE_CHECKING:
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.route import Route
    from tidemill.models.trial import Trial

models = typer.Typer(help="List, show, check and try the models.", no_args_is_help=True)
NAMED = "A model, NAME:VERSION, a route or its path; * stands for any characters."
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help=f"{NAMED} Default: all.")
]
Json = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each model.")]


@models.command("list")
def list_models(names: Names = None, *, as_json: Json = False, config: Config = None) -> None:
    """List the models, and the messages and paths that each answers."""
    from tidemill.models.lookup import select
    from tidemill.terminal import models as view
    from tidemill.terminal import models_json
    from tidemill.terminal.console import console

    selected = select(_routes(config), names or ())
    if as_json:
        for route, variant in selected:
            typer.echo(models_json.line(models_json.summary(route, variant)))
    else:
        console().print(view.list_table(selected))


@models.command("show")
def show_models(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAMED)],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each route.")
    ] = False,
    config: Config = None,
) -> None:
    """Show everything about a model. The values of options that look secret are masked."""
    from itertools import groupby
    from operator import itemgetter

    from tidemill.models.lookup import select
    from tidemill.terminal import models as view
    from tidemill.terminal import models_json
    from tidemill.terminal.console import console

    selected = select(_routes(config), [name])
    if as_json:
        for route, group in groupby(selected, itemgetter(0)):
            document = models_json.full(route, [variant for _, variant in group])
            typer.echo(models_json.line(document))
        return
    wide = console()
    for part in view.show_parts(selected):
        wide.print(part, soft_wrap=not isinstance(part, Table))


@models.command("check")
def check_models(names: Names = None, *, as_json: Json = False, config: Config = None) -> None:
    """Load the models, and run each on its sample."""
    from tidemill import run
    from tidemill.models.lookup import select
    from tidemill.terminal import models as view
    from tidemill.terminal import models_json
    from tidemill.terminal.console import console
    from tidemill.terminal.progress import progress

    selected = select(_routes(config), names or ())
    trials = []
    with progress() as show:
        for number, (_, variant) in enumerate(selected, 1):
            show("checking models", model=variant.spec.id, number=f"{number} of {len(selected)}")
            trials.append((variant.spec, result := _try(variant.spec)))
            if as_json:
                typer.echo(models_json.line(models_json.trial(variant.spec, result)))
    failed = [(spec, result) for spec, result in trials if isinstance(result, TidemillError)]
    if not as_json:
        wide = console()
        wide.print(view.trial_table(trials))
        for spec, error in failed:
            for text in view.problems(spec, error):
                wide.print(text, soft_wrap=True)
    raise typer.Exit(max((run.exit_code(error) for _, error in failed), default=0))


@models.command("try")
def try_model(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A model, NAME:VERSION, a route or its path.")
    ],
    text: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Text or JSON, as the model gets it. @FILE reads a file, and - standard input.",
        ),
    ],
    *,
    key: Annotated[
        str | None, typer.Option(help="Choose the variant as a stream does for this key.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Choose this variant of the route.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON: model, seconds, output or error.")
    ] = False,
    config: Config = None,
) -> None:
    """Run a model on one input, and print its output."""
    from tidemill import run
    from tidemill.inference.engine import local_engine
    from tidemill.inference.request import Request
    from tidemill.models import host
    from tidemill.models.lookup import choose
    from tidemill.terminal import models_json
    from tidemill.terminal.escape import pretty_json

    route, chosen = choose(_routes(config), name, variant=variant, key=key)
    request = Request(chosen.spec, _input(chosen.spec, text))
    with models_on_stderr():
        (output,) = local_engine(host.load, clock=time.time).run([request])
    error = output.result if isinstance(output.result, TidemillError) else None
    if as_json:
        typer.echo(models_json.line(models_json.answer(route, chosen, output)))
        raise typer.Exit(run.exit_code(error) if error else 0)
    if route.is_split:
        typer.echo(f"variant {chosen.name}: {chosen.spec.id}", err=True)
    if error:
        raise error
    typer.echo(pretty_json(str(output.result)))


def _routes(config: Path | None) -> tuple[Route, ...]:
    from tidemill.models import catalogue

    return catalogue.load_models(load_program(Program, config).models)


def _try(spec: ModelSpec) -> Trial | TidemillError:
    """Return the trial of a model, or the error that ended it."""
    from tidemill.models.trial import try_model as run_sample

    try:
        with models_on_stderr():
            return run_sample(spec)
    except TidemillError as error:
        return error


def _input(spec: ModelSpec, text: str) -> str:
    """Return the input that an argument stands for, as the model gets it from a message."""
    import msgspec

    from tidemill.inference.malformed import describe_json_error

    content = _read(text)
    if spec.payload is None or spec.is_text:
        return content
    if problem := describe_json_error(content):
        hint = f"{spec.id} takes JSON: {{}}, [], 1 or, within single quotes, a text: '\"text\"'."
        raise InputUnreadable("INPUT", f"it is not JSON: {problem}", hint)
    return msgspec.json.format(content, indent=-1)


def _read(text: str) -> str:
    """Return an input that may be in a file or on standard input, without a line's end after it."""
    from tidemill.inference.codec import decode_text

    if text == "-":
        content = sys.stdin.buffer.read()
    elif text.startswith("@"):
        try:
            content = Path(text[1:]).read_bytes()
        except OSError as error:
            hint = "Name a file after @. For a text that begins with @, use standard input: -."
            raise InputUnreadable(text[1:], error.strerror, hint) from None
    else:
        return text
    return decode_text(content).removesuffix("\n").removesuffix("\r")
