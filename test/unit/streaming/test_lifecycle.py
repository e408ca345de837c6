from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.errors import StreamingQueryException

from tidemill.streaming import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator


PATIENCE = 60


class Query:
    """A streaming query whose running batch ends after some polls."""

    def __init__(self, polls: float = 0, *, reported: bool = True, ends_after: float = 1e9) -> None:
        self.polls, self.reported, self.ends_after = polls, reported, ends_after
        self.stopped_at_batch: int | None = None
        self.stops = 0

    @property
    def isActive(self) -> bool:  # noqa: N802 - Spark's name
        """Return whether the query runs."""
        return not self.stops and self.ends_after > 0

    @property
    def status(self) -> dict[str, Any]:
        """Return whether a batch runs."""
        self.polls -= 1
        return {"isTriggerActive": self.polls >= 0 or self.reported}

    @property
    def lastProgress(self) -> dict[str, Any] | None:  # noqa: N802 - Spark's name
        """Return the last finished batch."""
        return {"batchId": 8 if self.polls < 0 and self.reported else 7}

    def stop(self) -> None:
        """Stop the query."""
        self.stops += 1
        self.stopped_at_batch = (self.lastProgress or {})["batchId"]

    def awaitTermination(self, _: float) -> bool:  # noqa: N802 - Spark's name
        """Return whether the query has ended."""
        self.ends_after -= 1
        return self.ends_after <= 0


class FirstBatch(Query):
    """A query that has finished no batch yet."""

    @property
    def lastProgress(self) -> dict[str, Any] | None:  # noqa: N802 - Spark's name
        """Return None until the first batch is finished."""
        return super().lastProgress if self.polls < 0 else None


class TestStop:
    """A query is stopped between two micro-batches."""

    def test_after_the_running_batch(self) -> None:
        """The running batch ends first, according to its progress."""
        query: Any = Query(polls=5)
        lifecycle.stop(query, timeout=PATIENCE)
        assert (query.stops, query.stopped_at_batch) == (1, 8)

    def test_first_batch(self) -> None:
        """The same holds for the first batch of the query."""
        query: Any = FirstBatch(polls=5)
        lifecycle.stop(query, timeout=PATIENCE)
        assert (query.stops, query.stopped_at_batch) == (1, 8)

    def test_idle(self) -> None:
        """If no batch runs, the query is stopped at once."""
        query: Any = Query(polls=0, reported=False)
        began = time.monotonic()
        lifecycle.stop(query, timeout=PATIENCE)
        assert time.monotonic() - began < PATIENCE
        assert query.stops == 1

    @pytest.mark.parametrize("timeout", [0, 0.05])
    def test_timeout(self, timeout: float) -> None:
        """After the timeout the query is stopped within a batch."""
        query: Any = Query(polls=1e9)
        began = time.monotonic()
        lifecycle.stop(query, timeout)
        assert timeout <= time.monotonic() - began < timeout + PATIENCE
        assert (query.stops, query.stopped_at_batch) == (1, 7)

    def test_on_poll(self) -> None:
        """The callback also runs while the stop waits for the batch."""
        calls: list[float] = []
        query: Any = Query(polls=5)
        lifecycle.stop(query, PATIENCE, lambda: calls.append(time.monotonic()))
        assert len(calls) >= 4

    def test_ended_meanwhile(self) -> None:
        """A stop does not wait for a query that has ended by itself."""
        query: Any = Query(polls=1e9, ends_after=0)
        lifecycle.stop(query, timeout=PATIENCE)
        assert query.stops == 1


class TestRun:
    """A query runs until it ends or there is a reason to stop."""

    def test_ends(self) -> None:
        """A query that ends by itself is not stopped, and has no reason."""
        query: Any = Query(ends_after=3)
        assert lifecycle.run(query, lambda: None, 5) is None
        assert query.stops == 0

    def test_stopped(self) -> None:
        """A query is stopped as soon as there is a reason, which is returned."""
        reasons = iter([None, None, "signal"])
        query: Any = Query()
        assert lifecycle.run(query, lambda: next(reasons), 5) == "signal"
        assert query.stops == 1

    def test_on_poll(self) -> None:
        """The callback runs after each poll of the query."""
        calls: list[int] = []
        query: Any = Query(ends_after=4)
        lifecycle.run(query, lambda: None, 5, lambda: calls.append(1))
        assert len(calls) == 3

    def test_fails(self) -> None:
        """The query's error is raised."""

        class Failing(Query):
            def awaitTermination(self, _: float) -> bool:  # noqa: N802 - Spark's name
                raise StreamingQueryException("gone")

        query: Any = Failing()
        with pytest.raises(StreamingQueryException):
            lifecycle.run(query, lambda: None, 5)


@pytest.fixture
def _handlers() -> Iterator[None]:
    """Restore the signal handlers."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("_handlers")
class TestSignals:
    """A signal only sets a flag."""

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_first_signal(self, signum: signal.Signals) -> None:
        """The program continues, and knows that a signal arrived."""
        received = lifecycle.stop_on_signals()
        assert not received()
        os.kill(os.getpid(), signum)
        assert received()

    def test_second_interrupt(self) -> None:
        """A second Ctrl-C interrupts at once."""
        received = lifecycle.stop_on_signals()
        os.kill(os.getpid(), signal.SIGINT)
        assert received()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    def test_other_thread(self) -> None:
        """Outside the main thread, as in some notebooks, the handlers stay."""
        before = signal.getsignal(signal.SIGTERM)
        with ThreadPoolExecutor(1) as pool:
            received = pool.submit(lifecycle.stop_on_signals).result()
        assert not received()
        assert signal.getsignal(signal.SIGTERM) is before
