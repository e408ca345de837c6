"""Tests of the thread that runs a worker beside the server."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pytest
from pool_processes import wait_until
from structlog.testing import capture_logs

from tidemill.errors import StoreUnavailable
from tidemill.serving.worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.tasks.worker import Worker


class FailingWorker:
    """Fails as often as it is told to, then runs until it is stopped."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]
        self.threads: list[int] = []
        self.opening = threading.Event()
        self.may_open = threading.Event()
        self.may_open.set()
        self._stopped = threading.Event()

    @contextmanager
    def opened(self) -> Iterator[Worker]:
        """Yield itself."""
        self.opening.set()
        self.may_open.wait()
        yield cast("Worker", self)

    def run(self) -> None:
        """Note the thread, then fail or wait."""
        self.threads.append(threading.get_ident())
        if self.errors:
            raise self.errors.pop(0)
        self._stopped.wait()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()


def stop(thread: WorkerThread) -> None:
    """Stop a thread, which ends."""
    asyncio.run(thread.stop(60))
    assert not thread.is_busy


class TestWorkerThread:
    """A worker runs until the server stops, whatever happens to it."""

    @pytest.mark.parametrize("error", [RuntimeError("a bug"), StoreUnavailable("db", "away")])
    def test_failure(self, error: Exception) -> None:
        """A worker that fails is logged and replaced, in the same thread."""
        worker = FailingWorker(error, error)
        thread = WorkerThread(worker.opened, restart=0.01)
        with capture_logs() as logs:
            thread.start()
            wait_until(lambda: len(worker.threads) == 3)
        assert len(set(worker.threads)) == 1
        (first, *_) = (line for line in logs if line["log_level"] == "error")
        assert str(error).partition(";")[0] in str(first)
        stop(thread)

    def test_stop_while_opening(self) -> None:
        """A worker that is just being opened when the server stops does not run on."""
        worker = FailingWorker()
        worker.may_open.clear()
        thread = WorkerThread(worker.opened)
        thread.start()
        worker.opening.wait()
        thread.stop_soon()
        worker.may_open.set()
        stop(thread)

    def test_stop_while_waiting(self) -> None:
        """A thread that waits before it replaces a worker stops at once."""
        worker = FailingWorker(RuntimeError("a bug"))
        thread = WorkerThread(worker.opened, restart=3600)
        thread.start()
        wait_until(lambda: bool(worker.threads))
        stop(thread)

    def test_not_in_time(self) -> None:
        """If the worker does not stop in time, the server says so and ends."""
        worker = FailingWorker()
        worker.may_open.clear()
        thread = WorkerThread(worker.opened)
        thread.start()
        worker.opening.wait()
        with capture_logs() as logs:
            asyncio.run(thread.stop(0.01))
        assert thread.is_busy
        assert "other workers take its tasks over" in logs[-1]["event"]
        worker.may_open.set()
        stop(thread)
