from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from kafka.errors import KafkaError, NodeNotReadyError
from structlog.testing import CapturingLogger

from tidemill.streaming import offsets_reporter
from tidemill.streaming.offsets_reporter import KafkaOffsetsReporter
from tidemill.streaming.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.streaming.progress import Offsets

PATIENCE = 60


def report(*offsets: int, batch: int = 0) -> Progress:
    """Return the progress of a micro-batch that ends at an offset in each partition."""
    return Progress(batch, offsets={("t", number): offset for number, offset in enumerate(offsets)})


class Broker:
    """A broker that can hold commits back and fail on demand."""

    def __init__(self) -> None:
        self.commits: list[Offsets] = []
        self.attempts = 0
        self.failures: list[Exception] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.done = threading.Semaphore(0)

    def commit(self, committed: Offsets) -> None:
        """Accept offsets once the gate is open."""
        self.attempts += 1
        self.entered.release()
        assert self.open.wait(PATIENCE)
        if self.failures:
            raise self.failures.pop(0)
        self.commits.append(dict(committed))
        self.done.release()


@pytest.fixture
def broker() -> Broker:
    """Return what the reporter commits to."""
    return Broker()


@pytest.fixture
def start(broker: Broker) -> Iterator[Callable[[], KafkaOffsetsReporter]]:
    """Start reporters; close them at the end."""
    started: list[KafkaOffsetsReporter] = []

    def new() -> KafkaOffsetsReporter:
        started.append(KafkaOffsetsReporter(broker.commit).start())
        return started[-1]

    yield new
    broker.open.set()
    for reporter in started:
        reporter.close(PATIENCE)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """Capture the reporter's log lines."""
    capturing = CapturingLogger()
    monkeypatch.setattr(offsets_reporter, "log", capturing)
    return capturing


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between attempts."""
    monkeypatch.setattr(offsets_reporter, "MIN_RETRY_DELAY_S", 0.01)
    monkeypatch.setattr(offsets_reporter, "MAX_RETRY_DELAY_S", 0.02)


class TestCommit:
    """The offsets of finished micro-batches are committed."""

    def test_as_reported(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """Spark's end offset is the next one to read, so it is committed unchanged."""
        start().record(report(42))
        assert broker.done.acquire(timeout=PATIENCE)
        assert broker.commits == [{("t", 0): 42}]

    def test_newest(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """Of the reports recorded during a commit, only the latest is committed."""
        broker.open.clear()
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        for offset in (2, 3, 4):
            reporter.record(report(offset, 9))
        broker.open.set()
        assert broker.done.acquire(timeout=PATIENCE)
        assert broker.done.acquire(timeout=PATIENCE)
        assert broker.commits == [{("t", 0): 1}, {("t", 0): 4, ("t", 1): 9}]

    def test_removed_partition(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """A partition that the latest report lacks is no longer committed."""
        broker.open.clear()
        reporter = start()
        reporter.record(report(1, 1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.record(report(2, 2))
        reporter.record(report(3))
        broker.open.set()
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 1, ("t", 1): 1}, {("t", 0): 3}]

    def test_nothing_new(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """A report without offsets commits nothing."""
        reporter = start()
        reporter.record(Progress(0))
        reporter.close(PATIENCE)
        assert broker.attempts == 0

    def test_no_offsets_after_some(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """Such a report does not discard pending offsets."""
        broker.open.clear()
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.record(report(2, batch=1))
        reporter.record(Progress(2))
        broker.open.set()
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 1}, {("t", 0): 2}]

    def test_never_blocks(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """Recording returns at once while a commit hangs."""
        broker.open.clear()
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        began = time.monotonic()
        for offset in range(1000):
            reporter.record(report(offset))
        assert time.monotonic() - began < PATIENCE
        assert broker.attempts == 1


class TestRepeated:
    """Kafka deletes the offsets of a group that commits nothing for too long."""

    def test_idle(
        self,
        broker: Broker,
        start: Callable[[], KafkaOffsetsReporter],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Without new offsets the latest ones are committed again and again."""
        monkeypatch.setattr(offsets_reporter, "RECOMMIT_INTERVAL_S", 0.01)
        start().record(report(7))
        for _ in range(3):
            assert broker.done.acquire(timeout=PATIENCE)
        assert broker.commits[:3] == [{("t", 0): 7}] * 3

    def test_nothing_known(
        self,
        broker: Broker,
        start: Callable[[], KafkaOffsetsReporter],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """If no micro-batch has finished, there is nothing to repeat."""
        monkeypatch.setattr(offsets_reporter, "RECOMMIT_INTERVAL_S", 0.01)
        start()
        time.sleep(0.1)
        assert broker.attempts == 0

    def test_not_at_the_end(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """Closing repeats nothing."""
        reporter = start()
        reporter.record(report(7))
        assert broker.done.acquire(timeout=PATIENCE)
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 7}]


class TestLate:
    """Reports may arrive late, and the query's last report arrives twice."""

    def committed(self, broker: Broker, reporter: KafkaOffsetsReporter) -> list[Offsets]:
        """Close the reporter and return all commits."""
        reporter.close(PATIENCE)
        return broker.commits

    def test_earlier_batch(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """A report of an earlier batch is ignored: offsets never move back."""
        reporter = start()
        reporter.record(report(20, batch=2))
        assert broker.done.acquire(timeout=PATIENCE)
        reporter.record(report(10, batch=1))
        assert self.committed(broker, reporter) == [{("t", 0): 20}]

    def test_earlier_batch_while_pending(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """It is also ignored while the latest offsets are still pending."""
        broker.open.clear()
        reporter = start()
        reporter.record(report(5, batch=0))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.record(report(20, batch=2))
        reporter.record(report(10, batch=1))
        broker.open.set()
        assert self.committed(broker, reporter) == [{("t", 0): 5}, {("t", 0): 20}]

    def test_same_batch(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """A second report of the latest batch counts, as one of the next batch does."""
        reporter = start()
        for batch, offset in ((4, 40), (4, 44), (5, 50)):
            reporter.record(report(offset, batch=batch))
            assert broker.done.acquire(timeout=PATIENCE)
        assert self.committed(broker, reporter) == [{("t", 0): n} for n in (40, 44, 50)]


class TestClose:
    """Closing commits pending offsets, then ends the thread."""

    def test_pending(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """Offsets recorded while a commit was blocked are committed before the end."""
        broker.open.clear()
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.record(report(2))
        threading.Timer(0.05, broker.open.set).start()
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 1}, {("t", 0): 2}]

    def test_right_after_a_record(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """Nothing recorded just before the close is lost."""
        for offset in range(20):
            reporter = start()
            reporter.record(report(offset))
            reporter.close(PATIENCE)
            assert broker.commits[-1] == {("t", 0): offset}

    def test_nothing_pending(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """A second close, or one without new offsets, commits nothing."""
        reporter = start()
        reporter.close(PATIENCE)
        reporter.close(PATIENCE)
        assert broker.attempts == 0

    def test_thread_ends(self, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """No thread is left."""
        before = set(threading.enumerate())
        start().close(PATIENCE)
        assert set(threading.enumerate()) <= before

    def test_hanging_commit(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter], log: CapturingLogger
    ) -> None:
        """A commit that hangs does not keep the job from ending, and causes a warning."""
        broker.open.clear()
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        began = time.monotonic()
        reporter.close(timeout=0.05)
        assert time.monotonic() - began < PATIENCE
        (call,) = log.calls
        assert call.method_name == "warning"
        assert "the last offsets are not committed" in call.args[0]

    def test_failing_commit(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter], log: CapturingLogger
    ) -> None:
        """A commit that fails to the last causes the same warning."""
        broker.failures = [KafkaError("away")] * 100
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.close(PATIENCE)
        assert "the last offsets are not committed" in log.calls[-1].args[0]

    def test_silent(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter], log: CapturingLogger
    ) -> None:
        """If everything is committed, nothing is logged."""
        reporter = start()
        reporter.record(report(1))
        reporter.close(PATIENCE)
        assert log.calls == []

    def test_during_an_outage(
        self,
        broker: Broker,
        start: Callable[[], KafkaOffsetsReporter],
        log: CapturingLogger,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The last attempt does not wait for the pause to end."""
        monkeypatch.setattr(offsets_reporter, "MIN_RETRY_DELAY_S", 2 * PATIENCE)
        broker.failures = [KafkaError("away")]
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 1}]


class TestRelease:
    """The thread that commits also releases the resources."""

    def test_after_the_last_commit(self, broker: Broker) -> None:
        """The release runs once, after the last commit, on the same thread."""
        order: list[tuple[str, str]] = []

        def note(event: str) -> None:
            order.append((event, threading.current_thread().name))

        reporter = KafkaOffsetsReporter(lambda _: note("commit"), lambda: note("release")).start()
        reporter.record(report(1))
        reporter.close(PATIENCE)
        reporter.close(PATIENCE)
        assert order == [("commit", "offsets-reporter"), ("release", "offsets-reporter")]

    def test_without_offsets(self) -> None:
        """It also runs if there was nothing to commit."""
        released = threading.Event()
        KafkaOffsetsReporter(lambda _: None, released.set).start().close(PATIENCE)
        assert released.is_set()

    def test_hanging_commit(self, broker: Broker, log: CapturingLogger) -> None:
        """It never runs during a commit that hangs, but after it."""
        released = threading.Event()
        broker.open.clear()
        reporter = KafkaOffsetsReporter(broker.commit, released.set).start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.close(timeout=0.05)
        assert not released.is_set()
        broker.open.set()
        assert released.wait(PATIENCE)

    def test_failing_commit(self, log: CapturingLogger) -> None:
        """It also runs if the last commit failed."""
        released = threading.Event()

        def fail(_: Offsets) -> None:
            raise OSError("reset")

        reporter = KafkaOffsetsReporter(fail, released.set).start()
        reporter.record(report(1))
        reporter.close(PATIENCE)
        assert released.is_set()


@pytest.mark.usefixtures("_quick")
class TestOutage:
    """The reporter retries an unreachable broker without flooding the log."""

    @pytest.mark.parametrize("error", [KafkaError("away"), NodeNotReadyError(), OSError("reset")])
    def test_retry(
        self,
        broker: Broker,
        start: Callable[[], KafkaOffsetsReporter],
        log: CapturingLogger,
        error: Exception,
    ) -> None:
        """Nothing is lost; the outage is one log line, its end another."""
        broker.failures = [error] * 4
        reporter = start()
        reporter.record(report(7))
        assert broker.done.acquire(timeout=PATIENCE)
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 7}]
        assert [call.method_name for call in log.calls] == ["warning", "info"]
        assert repr(error) in str(log.calls[0])

    def test_two_outages(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter], log: CapturingLogger
    ) -> None:
        """Each outage has its own lines."""
        reporter = start()
        for offset in (1, 2):
            broker.failures = [OSError("reset")] * 3
            reporter.record(report(offset))
            assert broker.done.acquire(timeout=PATIENCE)
        reporter.close(PATIENCE)
        assert [call.method_name for call in log.calls] == ["warning", "info"] * 2

    def test_newer_offsets(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter], log: CapturingLogger
    ) -> None:
        """Offsets that arrive during the outage replace those that failed."""
        broker.open.clear()
        broker.failures = [OSError("reset")]
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.record(report(5, 6))
        broker.open.set()
        assert broker.done.acquire(timeout=PATIENCE)
        assert broker.commits == [{("t", 0): 5, ("t", 1): 6}]

    def test_pauses(self, broker: Broker, log: CapturingLogger) -> None:
        """Pauses between attempts keep an outage from becoming a busy loop."""
        broker.failures = [OSError("reset")] * 1000
        reporter = KafkaOffsetsReporter(broker.commit).start()
        began = time.monotonic()
        reporter.record(report(1))
        for _ in range(6):
            assert broker.entered.acquire(timeout=PATIENCE)
        assert (
            time.monotonic() - began
            >= offsets_reporter.MIN_RETRY_DELAY_S + 4 * offsets_reporter.MAX_RETRY_DELAY_S
        )
        reporter.close(PATIENCE)


class TestRecordDuringAnOutage:
    """New offsets do not shorten the pause before the next attempt."""

    def test_pause_kept(
        self, broker: Broker, log: CapturingLogger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A busy stream does not flood an unreachable broker."""
        monkeypatch.setattr(offsets_reporter, "MIN_RETRY_DELAY_S", 2 * PATIENCE)
        broker.failures = [OSError("reset")]
        reporter = KafkaOffsetsReporter(broker.commit).start()
        reporter.record(report(0))
        assert broker.entered.acquire(timeout=PATIENCE)
        for offset in range(20):
            reporter.record(report(offset))
        assert not broker.entered.acquire(timeout=0.1)
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 19}]
