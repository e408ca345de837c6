"""Run long tasks beside the server."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final

import structlog

from tidemill.errors import TidemillError, describe, log_fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tidemill.tasks.worker import Worker

log = structlog.get_logger(__name__)

# After how many seconds a worker that has failed is replaced.
RESTART_S: Final = 5.0


class WorkerThread:
    """A thread that runs a worker, and another one if it fails.

    It is one thread to the end: when a thread ends, Linux kills the processes that it has started.
    """

    def __init__(
        self, opened: Callable[[], AbstractContextManager[Worker]], *, restart: float = RESTART_S
    ) -> None:
        """Take what opens a worker with connections of its own."""
        self._opened = opened
        self._restart = restart
        self._worker: Worker | None = None
        self._stopping = threading.Event()
        # Python would wait for any other thread, however long the database is away.
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop_soon(self) -> None:
        """Let the worker give its tasks back, and the thread end."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()

    async def stop(self, seconds: float) -> None:
        """Stop, and wait for the end for some seconds."""
        self.stop_soon()
        await asyncio.to_thread(self._thread.join, seconds)
        if self.is_busy:
            log.warning("the worker has not stopped in time; other workers take its tasks over")

    @property
    def is_busy(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        failing = False
        while not self._stopping.is_set():
            try:
                with self._opened() as worker:
                    failing = False
                    self._worker = worker
                    if self._stopping.is_set():  # since before `stop_soon` could see the worker
                        worker.stop()
                    worker.run()
            except TidemillError as error:
                if not failing:
                    log.error("cannot run tasks: %s", error.message, **log_fields(error))  # noqa: TRY400
                failing = True
            except Exception as error:
                log.exception("the worker failed, and is started again", error=describe(error))
            self._stopping.wait(self._restart)
