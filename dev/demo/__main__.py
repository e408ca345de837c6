"""Run a real broker and the real job, send a few messages, and show every answer.

Run it from the repository's root: `python -m dev.demo [--keep]`.
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from kafka.errors import KafkaError
from rich.markup import escape

from dev.demo import messages, steps
from dev.demo.lag import show_lag
from dev.demo.metrics import show_metrics
from dev.demo.screen import make_console
from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from rich.console import Console

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The demo must end: Ctrl-C, SIGTERM or a closed terminal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Unanswered(TidemillError):
    """Not every message got exactly one answer."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            f"{'; '.join(problems)} (by partition/offset)", f"Read the job's log, {steps.LOG}."
        )


class AlreadyRunning(TidemillError):
    """Another demo uses the folder."""

    def __init__(self) -> None:
        super().__init__(f"another demo runs in {steps.FOLDER}", "End it first.")


def main() -> int:
    """Run the demo; return 0 only if every message got exactly one answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep running until Ctrl-C")
    keep = parser.parse_args().keep
    for number in SIGNALS:
        signal.signal(number, interrupt)
    console = make_console()
    try:
        with ExitStack() as running:
            run(console, running, keep=keep)
    except Interrupted as interrupted:
        console.print("[yellow]interrupted; everything is stopped[/]")
        return 128 + interrupted.number
    except (TidemillError, KafkaError, OSError) as error:
        text = escape("\n".join([str(error) or repr(error), *getattr(error, "__notes__", ())]))
        console.print(f"[bold red]the demo failed:[/] {text}", soft_wrap=True)
        return 1
    return 0


def interrupt(number: int, _: object) -> None:
    """Unwind the stack to stop everything; ignore further signals meanwhile."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


def run(console: Console, running: ExitStack, *, keep: bool) -> None:
    """Run the demo's steps; closing `running` stops what they started."""
    fresh_folder(running)
    libs = steps.fetch(console)
    broker = steps.start_broker(console, running, steps.FOLDER / "broker", libs)
    steps.make_topics(console, broker)
    job, url = steps.start_job(console, running, broker)
    texts, answers = steps.send_and_show(console, broker, job)
    show_lag(console, broker)
    show_metrics(console, url)
    if problems := messages.problems(texts, answers):
        raise Unanswered(problems)
    console.print(f"[green]✓[/] {len(texts)} messages, each with exactly one answer")
    if keep:
        try:
            steps.keep_running(console, broker, job, url)
        except Interrupted:
            console.print()  # Ctrl-C is the way to end it; the terminal shows ^C in this line


def fresh_folder(running: ExitStack) -> None:
    """Delete an earlier demo's data; raise AlreadyRunning if that demo still runs."""
    steps.FOLDER.parent.mkdir(exist_ok=True)
    lock = running.enter_context(steps.FOLDER.with_name("demo.lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning from None
    shutil.rmtree(steps.FOLDER, ignore_errors=True)
    steps.FOLDER.mkdir()


if __name__ == "__main__":
    sys.exit(main())
