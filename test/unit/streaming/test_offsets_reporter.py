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


def report(*offsets_reporter: int, batch: int = 0) -> Progress:
    """Return the progress of a micro-batch that ends at an offset in each partition."""
    return Progress(
        batch, offsets={("t", number): offset for number, offset in enumerate(offsets_reporter)}
    )


class Broker:
    """Take commits, one at a time when it is told to; fail as often as it is told to."""

    def __init__(self) -> None:
        self.commits: list[Offsets] = []
        self.attempts = 0
        self.failures: list[Exception] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.done = threading.Semaphore(0)

    def commit(self, committed: Offsets) -> None:
        """Take offsets, once the gate is open."""
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
    """Return what takes the reporter's log lines."""
    capturing = CapturingLogger()
    monkeypatch.setattr(offsets_reporter, "log", capturing)
    return capturing


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses between tries be short."""
    monkeypatch.setattr(offsets_reporter, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(offsets_reporter, "LONGEST_DELAY", 0.02)


class TestCommit:
    """What a micro-batch has finished is committed."""

    def test_as_reported(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """Spark's end offset is the next to read: it is committed as it is."""
        start().record(report(42))
        assert broker.done.acquire(timeout=PATIENCE)
        assert broker.commits == [{("t", 0): 42}]

    def test_newest(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """Of what is recorded during a commit only the newest is committed: it names them all."""
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

    def test_partition_that_is_gone(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """What the newest report names no more is not committed any more."""
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
        """Such a report does not take away what is pending."""
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
    """Kafka forgets the offsets of a group that is silent for too long."""

    def test_idle(
        self,
        broker: Broker,
        start: Callable[[], KafkaOffsetsReporter],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Where nothing new comes, the newest is committed again after a while, and again."""
        monkeypatch.setattr(offsets_reporter, "REPEAT_AFTER", 0.01)
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
        """Where nothing was ever finished there is nothing to repeat."""
        monkeypatch.setattr(offsets_reporter, "REPEAT_AFTER", 0.01)
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
    """Reports may come late: the query's last one comes by two ways."""

    def committed(self, broker: Broker, reporter: KafkaOffsetsReporter) -> list[Offsets]:
        """Return what is committed until the end."""
        reporter.close(PATIENCE)
        return broker.commits

    def test_earlier_batch(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """One of an earlier batch than the newest is passed over: offsets never go back."""
        reporter = start()
        reporter.record(report(20, batch=2))
        assert broker.done.acquire(timeout=PATIENCE)
        reporter.record(report(10, batch=1))
        assert self.committed(broker, reporter) == [{("t", 0): 20}]

    def test_earlier_batch_while_pending(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """So it is where the newest is not committed yet."""
        broker.open.clear()
        reporter = start()
        reporter.record(report(5, batch=0))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.record(report(20, batch=2))
        reporter.record(report(10, batch=1))
        broker.open.set()
        assert self.committed(broker, reporter) == [{("t", 0): 5}, {("t", 0): 20}]

    def test_same_batch(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """A second report of the newest batch counts, as one of the next does."""
        reporter = start()
        for batch, offset in ((4, 40), (4, 44), (5, 50)):
            reporter.record(report(offset, batch=batch))
            assert broker.done.acquire(timeout=PATIENCE)
        assert self.committed(broker, reporter) == [{("t", 0): n} for n in (40, 44, 50)]


class TestClose:
    """Closing commits what is pending, then ends the thread."""

    def test_pending(self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]) -> None:
        """What was recorded while a commit hung is committed before the end."""
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
        """Nothing recorded before the close is lost, however close the two are."""
        for offset in range(20):
            reporter = start()
            reporter.record(report(offset))
            reporter.close(PATIENCE)
            assert broker.commits[-1] == {("t", 0): offset}

    def test_nothing_pending(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter]
    ) -> None:
        """A second close, or one without news, commits nothing."""
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
        """A commit that hangs does not keep the job from ending, and a warning says so."""
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
        """So does one that fails to the last."""
        broker.failures = [KafkaError("away")] * 100
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.close(PATIENCE)
        assert "the last offsets are not committed" in log.calls[-1].args[0]

    def test_silent(
        self, broker: Broker, start: Callable[[], KafkaOffsetsReporter], log: CapturingLogger
    ) -> None:
        """Where all is committed nothing is said."""
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
        """One last try is made at once, without waiting for the pause to end."""
        monkeypatch.setattr(offsets_reporter, "FIRST_DELAY", 2 * PATIENCE)
        broker.failures = [KafkaError("away")]
        reporter = start()
        reporter.record(report(1))
        assert broker.entered.acquire(timeout=PATIENCE)
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 1}]


class TestRelease:
    """What commits is released by the thread that used it."""

    def test_after_the_last_commit(self, broker: Broker) -> None:
        """Once, after the last commit, on the thread of the commits."""
        order: list[tuple[str, str]] = []

        def note(what: str) -> None:
            order.append((what, threading.current_thread().name))

        reporter = KafkaOffsetsReporter(lambda _: note("commit"), lambda: note("release")).start()
        reporter.record(report(1))
        reporter.close(PATIENCE)
        reporter.close(PATIENCE)
        assert order == [("commit", "offsets-reporter"), ("release", "offsets-reporter")]

    def test_without_news(self) -> None:
        """Also where there was nothing to commit."""
        released = threading.Event()
        KafkaOffsetsReporter(lambda _: None, released.set).start().close(PATIENCE)
        assert released.is_set()

    def test_hanging_commit(self, broker: Broker, log: CapturingLogger) -> None:
        """Never under a commit that hangs, but after it."""
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
        """Also where the last commit failed."""
        released = threading.Event()

        def fail(_: Offsets) -> None:
            raise OSError("reset")

        reporter = KafkaOffsetsReporter(fail, released.set).start()
        reporter.record(report(1))
        reporter.close(PATIENCE)
        assert released.is_set()


@pytest.mark.usefixtures("_quick")
class TestOutage:
    """A broker that is away is tried again, quietly."""

    @pytest.mark.parametrize("error", [KafkaError("away"), NodeNotReadyError(), OSError("reset")])
    def test_tried_again(
        self,
        broker: Broker,
        start: Callable[[], KafkaOffsetsReporter],
        log: CapturingLogger,
        error: Exception,
    ) -> None:
        """Nothing is lost, and the outage is one line, its end another."""
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
        """Each outage has its line."""
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
        """What comes during the outage replaces what failed."""
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
        """Between tries there is a pause: an outage is no busy loop."""
        broker.failures = [OSError("reset")] * 1000
        reporter = KafkaOffsetsReporter(broker.commit).start()
        began = time.monotonic()
        reporter.record(report(1))
        for _ in range(6):
            assert broker.entered.acquire(timeout=PATIENCE)
        assert (
            time.monotonic() - began
            >= offsets_reporter.FIRST_DELAY + 4 * offsets_reporter.LONGEST_DELAY
        )
        reporter.close(PATIENCE)


class TestNewsDuringAnOutage:
    """What comes in meanwhile does not hurry the next try."""

    def test_pause_kept(
        self, broker: Broker, log: CapturingLogger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A busy stream does not hammer a broker that is away."""
        monkeypatch.setattr(offsets_reporter, "FIRST_DELAY", 2 * PATIENCE)
        broker.failures = [OSError("reset")]
        reporter = KafkaOffsetsReporter(broker.commit).start()
        reporter.record(report(0))
        assert broker.entered.acquire(timeout=PATIENCE)
        for offset in range(20):
            reporter.record(report(offset))
        assert not broker.entered.acquire(timeout=0.1)
        reporter.close(PATIENCE)
        assert broker.commits == [{("t", 0): 19}]
