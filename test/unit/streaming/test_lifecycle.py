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
    """A streaming query whose running batch ends after some looks at it."""

    def __init__(self, looks: float = 0, *, reported: bool = True, ends_after: float = 1e9) -> None:
        self.looks, self.reported, self.ends_after = looks, reported, ends_after
        self.stopped_at_batch: int | None = None
        self.stops = 0

    @property
    def isActive(self) -> bool:  # noqa: N802 - Spark's name
        """Tell whether it runs."""
        return not self.stops and self.ends_after > 0

    @property
    def status(self) -> dict[str, Any]:
        """Tell whether a batch runs."""
        self.looks -= 1
        return {"isTriggerActive": self.looks >= 0 or self.reported}

    @property
    def lastProgress(self) -> dict[str, Any] | None:  # noqa: N802 - Spark's name
        """Return the last finished batch."""
        return {"batchId": 8 if self.looks < 0 and self.reported else 7}

    def stop(self) -> None:
        """End it."""
        self.stops += 1
        self.stopped_at_batch = (self.lastProgress or {})["batchId"]

    def awaitTermination(self, _: float) -> bool:  # noqa: N802 - Spark's name
        """Tell whether it has ended."""
        self.ends_after -= 1
        return self.ends_after <= 0


class FirstBatch(Query):
    """A query that has finished no batch yet."""

    @property
    def lastProgress(self) -> dict[str, Any] | None:  # noqa: N802 - Spark's name
        """Return nothing until the first batch is done."""
        return super().lastProgress if self.looks < 0 else None


class TestStop:
    """A query is stopped between two micro-batches."""

    def test_after_the_running_batch(self) -> None:
        """The running batch ends first, as its progress reports it."""
        query: Any = Query(looks=5)
        lifecycle.stop(query, timeout=PATIENCE)
        assert (query.stops, query.stopped_at_batch) == (1, 8)

    def test_first_batch(self) -> None:
        """So does the first of all."""
        query: Any = FirstBatch(looks=5)
        lifecycle.stop(query, timeout=PATIENCE)
        assert (query.stops, query.stopped_at_batch) == (1, 8)

    def test_idle(self) -> None:
        """Where no batch runs it is stopped at once."""
        query: Any = Query(looks=0, reported=False)
        began = time.monotonic()
        lifecycle.stop(query, timeout=PATIENCE)
        assert time.monotonic() - began < PATIENCE
        assert query.stops == 1

    @pytest.mark.parametrize("timeout", [0, 0.05])
    def test_timeout(self, timeout: float) -> None:
        """A batch that does not end is not waited for any longer."""
        query: Any = Query(looks=1e9)
        began = time.monotonic()
        lifecycle.stop(query, timeout)
        assert timeout <= time.monotonic() - began < timeout + PATIENCE
        assert (query.stops, query.stopped_at_batch) == (1, 7)

    def test_pulse(self) -> None:
        """The wait is no silence: whoever watches the main thread hears of it."""
        beats: list[float] = []
        query: Any = Query(looks=5)
        lifecycle.stop(query, PATIENCE, lambda: beats.append(time.monotonic()))
        assert len(beats) >= 4

    def test_ended_meanwhile(self) -> None:
        """A query that has ended by itself is not waited for."""
        query: Any = Query(looks=1e9, ends_after=0)
        lifecycle.stop(query, timeout=PATIENCE)
        assert query.stops == 1


class TestRun:
    """A query runs until it ends or somebody asks."""

    def test_ends(self) -> None:
        """By itself: nobody asked, nothing is stopped."""
        query: Any = Query(ends_after=3)
        assert lifecycle.run(query, lambda: False, 5) is False
        assert query.stops == 0

    def test_asked(self) -> None:
        """Asked: it is stopped."""
        asked = iter([False, False, True])
        query: Any = Query()
        assert lifecycle.run(query, lambda: next(asked), 5) is True
        assert query.stops == 1

    def test_pulse(self) -> None:
        """Each look at the query is a sign of life."""
        beats: list[int] = []
        query: Any = Query(ends_after=4)
        lifecycle.run(query, lambda: False, 5, lambda: beats.append(1))
        assert len(beats) == 3

    def test_fails(self) -> None:
        """An error goes through."""

        class Failing(Query):
            def awaitTermination(self, _: float) -> bool:  # noqa: N802 - Spark's name
                raise StreamingQueryException("gone")

        query: Any = Failing()
        with pytest.raises(StreamingQueryException):
            lifecycle.run(query, lambda: False, 5)


@pytest.fixture
def _handlers() -> Iterator[None]:
    """Put the signals' handlers back."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("_handlers")
class TestSignals:
    """A signal only takes note."""

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_noted(self, signum: signal.Signals) -> None:
        """The program goes on, and knows that it was asked."""
        asked = lifecycle.stop_on_signals()
        assert not asked()
        os.kill(os.getpid(), signum)
        assert asked()

    def test_second_interrupt(self) -> None:
        """A second Ctrl-C interrupts at once."""
        asked = lifecycle.stop_on_signals()
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    def test_other_thread(self) -> None:
        """In another thread than the main one, as in some notebooks, the handlers stay."""
        before = signal.getsignal(signal.SIGTERM)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(lifecycle.stop_on_signals).result()
        assert not asked()
        assert signal.getsignal(signal.SIGTERM) is before
