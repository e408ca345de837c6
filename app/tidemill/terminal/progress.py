"""Show the steps of a long command on standard error."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = structlog.get_logger(__name__)

INTERVAL_S = 10.0  # between two log lines about the same step


@contextmanager
def progress(
    console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[..., None]]:
    """Yield a function that shows a step and its progress: `show("reading", done=3)`.

    A terminal shows one changing line. Elsewhere each step is a log line, which is repeated at most
    every ten seconds while its progress changes.
    """
    console = console or Console(stderr=True, highlight=False)
    if console.is_terminal:
        with console.status("") as status:
            yield lambda step, **done: status.update(escape(_sentence(step, done)))
        return
    last: tuple[str, dict[str, object]] = ("", {})
    due = clock()

    def show(step: str, **done: object) -> None:
        nonlocal last, due
        if step != last[0] or (done != last[1] and clock() >= due):
            log.info(step, **done)
            last, due = (step, done), clock() + INTERVAL_S

    yield show


def _sentence(step: str, done: dict[str, object]) -> str:
    return f"{step} …" + "".join(f" {name}: {value}" for name, value in done.items())
