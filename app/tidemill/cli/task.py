"""`tidemill task`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli.options import Config, load_program, screen
from tidemill.errors import InputUnreadable, NoJobs
from tidemill.settings import TasksProgram

if TYPE_CHECKING:
    from tidemill.tasks.tasks import Tasks

task = typer.Typer(
    help="Submit long tasks, watch them, and fetch their results.", no_args_is_help=True
)
RunId = Annotated[str, typer.Argument(metavar="RUN", help="What `submit` printed.")]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="A job of the settings.")]


@task.command()
def submit(
    job: JobName,
    parameters: Annotated[
        str, typer.Argument(help="JSON; @FILE reads it from a file, - from standard input.")
    ] = "{}",
    *,
    key: Annotated[
        str | None, typer.Option(help="The same key returns the same run, however often.")
    ] = None,
    config: Config = None,
) -> None:
    """Submit a task, and print the id of its run."""
    with _opened(config) as tasks:
        typer.echo(tasks.submit(job, _read(parameters), key))


@task.command()
def status(run: RunId, config: Config = None) -> None:
    """Print a run as JSON."""
    from tidemill.terminal import tasks as view

    with _opened(config) as tasks:
        typer.echo(view.run_line(tasks.get(run)))


@task.command()
def watch(run: RunId, config: Config = None) -> None:
    """Show the progress of a run until it ends; fail if it does not succeed."""
    from tidemill.terminal import tasks as view

    with _opened(config) as tasks:
        ended = view.watch(tasks, run)
        if ended.state != "succeeded":
            tasks.result(run)  # says why not


@task.command()
def result(
    run: RunId,
    *,
    latest: Annotated[
        bool, typer.Option("--latest", help="The best result so far, if there is no final one.")
    ] = False,
    config: Config = None,
) -> None:
    """Print the result of a run as JSON."""
    from tidemill.terminal.escape import printable_json

    with _opened(config) as tasks:
        found = tasks.latest(run).result if latest else tasks.result(run)
        typer.echo(printable_json(bytes(found).decode()))


@task.command()
def cancel(run: RunId, config: Config = None) -> None:
    """Cancel a run; one that is running is ended within seconds."""
    with _opened(config) as tasks:
        cancelled = tasks.cancel(run)
        screen.print(
            f"{run} is {'being cancelled' if not cancelled.has_ended else cancelled.state}"
        )


@task.command()
def retry(run: RunId, config: Config = None) -> None:
    """Run a task again that failed or was cancelled."""
    with _opened(config) as tasks:
        screen.print(f"{run} is {tasks.retry(run).state}")


@task.command("list")
def list_(
    *,
    job: Annotated[str | None, typer.Option(help="Only runs of this job.")] = None,
    state: Annotated[
        str | None,
        typer.Option(help="Only these: waiting, running, succeeded, failed or cancelled."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each.")] = False,
    config: Config = None,
) -> None:
    """List the latest runs."""
    from tidemill.terminal import tasks as view
    from tidemill.terminal.console import console

    with _opened(config) as tasks:
        runs = tasks.list(job, state, limit)
        if as_json:
            for each in runs:
                typer.echo(view.run_line(each))
        elif runs:
            console().print(view.runs_table(runs))
        else:
            screen.print("no runs")


@task.command()
def schema(job: JobName, config: Config = None) -> None:
    """Print the JSON Schema of a job's parameters."""
    import msgspec

    with _opened(config) as tasks:
        typer.echo(msgspec.json.format(msgspec.json.encode(tasks.job(job).schema)).decode())


@task.command()
def work(
    *,
    slots: Annotated[int | None, typer.Option(min=1, help="Instead of `tasks.slots`.")] = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when no task waits or runs.")
    ] = False,
    config: Config = None,
) -> None:
    """Run tasks until it is stopped; several workers may share a database."""
    from tidemill.bootstrap.tasks import open_metrics, open_tasks, open_worker

    settings = load_program(TasksProgram, config)
    if not settings.tasks.jobs:
        raise NoJobs
    if slots is not None:
        section = settings.tasks.model_copy(update={"slots": slots})
        settings = settings.model_copy(update={"tasks": section})
    with (
        open_tasks(settings) as tasks,
        open_metrics(settings, tasks),
        open_worker(settings, tasks) as worker,
    ):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        worker.run(until_idle=until_idle)


@contextmanager
def _opened(config: Path | None) -> Iterator[Tasks]:
    from tidemill.bootstrap.tasks import open_tasks

    with open_tasks(load_program(TasksProgram, config)) as tasks:
        yield tasks


def _read(parameters: str) -> str | bytes:
    """Return what the argument names.

    Raises:
        InputUnreadable: It names a file that cannot be read.

    """
    if parameters == "-":
        return sys.stdin.buffer.read()
    if not parameters.startswith("@"):
        return parameters
    try:
        return Path(parameters[1:]).read_bytes()
    except OSError as error:
        hint = "Name a file of JSON after the @."
        raise InputUnreadable(parameters[1:], error.strerror, hint) from None
