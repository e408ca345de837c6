"""Make a call beside what the program does, and wait for it no longer than one likes."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


def in_background(call: Callable[[], Answer]) -> Future[Answer]:
    """Start a call in a daemon thread; its future's `result(timeout)` waits for it.

    A thread pool would not do: the interpreter waits for its threads as it ends, and a look-up of a
    name, or a server that sends a byte a second, knows no time-out.
    """
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
