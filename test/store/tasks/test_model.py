"""Clients and workers do what they like, and the runs are as a plain model says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tidemill.errors import CannotRetry, NoResult, NotEnded
from tidemill.store.store import Store
from tidemill.tasks.job import Job
from tidemill.tasks.leases import Claim, Leases
from tidemill.tasks.outcome import Failure, Progress
from tidemill.tasks.runs import ENDED
from tidemill.tasks.tasks import Tasks
from tidemill.tasks.totals import Open

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS, CONCURRENCY = 2, 2
# Clocks that jump to and fro.
times = st.integers(0, 2**50)


@dataclass
class Expected:
    """What a run should be."""

    state: str = "waiting"
    attempt: int = 0
    tried: int = 0
    cancelling: bool = False
    beat: int = 0
    result: bytes | None = None

    def holds(self, claim: Claim) -> bool:
        """Return whether a worker with this claim may write."""
        return self.state == "running" and self.attempt == claim.attempt

    def give_back(self, *, forgive: bool = False) -> None:
        """Wait again, or end."""
        self.tried -= forgive
        if self.cancelling:
            self.state = "cancelled"
        elif not forgive and self.tried >= ATTEMPTS:
            self.state = "failed"
        else:
            self.state = "waiting"


class Runs(RuleBasedStateMachine):
    """Two workers, of which each may be slow, dead or wrong, beside a dictionary."""

    make_url: ClassVar[Callable[[], str]]
    claims: Bundle[Claim] = Bundle("claims")
    signs: Bundle[tuple[str, tuple[int, int]]] = Bundle("signs")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.store = Store(type(self).make_url())
        job = Job("Count", "long_jobs:Count", attempts=ATTEMPTS, concurrency=CONCURRENCY)
        self.tasks = Tasks(self.store, [job], clock=lambda: self.now)
        self.workers = [
            Leases(self.store, self.tasks.jobs, f"w{i}", clock=lambda: self.now) for i in range(2)
        ]
        self.runs: dict[str, Expected] = {}
        self.keys: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.ended: Counter[str] = Counter()

    def teardown(self) -> None:
        """Close the store."""
        self.store.close()

    @rule(time=times)
    def clock_jumps(self, time: int) -> None:
        """Some machine's clock is set."""
        self.now = time

    @rule(key=st.sampled_from([None, "a", "b"]))
    def submit(self, key: str | None) -> None:
        """A key has one run."""
        run = self.tasks.submit("Count", {"steps": 1}, key)
        if key in self.keys:
            assert run == self.keys[key]
        else:
            assert run not in self.runs
            self.runs[run] = Expected()
            if key:
                self.keys[key] = run

    @rule(target=claims, worker=st.integers(0, 1))
    def claim(self, worker: int) -> Claim | MultipleResults[Claim]:
        """The run that was submitted first is next, if not too many are running."""
        claim = self.workers[worker].claim()
        waiting = [run for run, each in self.runs.items() if each.state == "waiting"]
        running = sum(each.state == "running" for each in self.runs.values())
        if not waiting or running >= CONCURRENCY:
            assert claim is None
            return multiple()
        assert claim is not None
        assert claim.id == waiting[0]
        expected = self.runs[claim.id]
        expected.state = "running"
        expected.attempt += 1
        expected.tried += 1
        assert claim.attempt == expected.attempt
        return claim

    @rule(claim=claims, worker=st.integers(0, 1), done=st.floats(0, 1))
    def beat(self, claim: Claim, worker: int, done: float) -> None:
        """A worker learns whether it still has the run, and whether it was cancelled."""
        lost, cancelled = self.workers[worker].beat(
            {claim: Progress(done, "half a pair \ud800 \0", b"0")}
        )
        expected = self.runs[claim.id]
        assert lost == (set() if expected.holds(claim) else {claim})
        assert cancelled == ({claim} if expected.holds(claim) and expected.cancelling else set())

    @rule(claim=claims, worker=st.integers(0, 1), good=st.booleans())
    def finish(self, claim: Claim, worker: int, good: bool) -> None:
        """Only who has the run ends it; a cancelled one has no result."""
        expected = self.runs[claim.id]
        result = b'{"attempt":%d}' % claim.attempt
        written = self.workers[worker].finish(claim, result if good else Failure("bad", "hint"))
        assert written == expected.holds(claim)
        if written and expected.cancelling:
            expected.state = "cancelled"
        elif written and good:
            expected.state, expected.result = "succeeded", result
        elif written:
            expected.state = "failed"

    @rule(claim=claims, worker=st.integers(0, 1), forgive=st.booleans())
    def give_back(self, claim: Claim, worker: int, forgive: bool) -> None:
        """A process ended without an outcome, or the worker stops."""
        expected = self.runs[claim.id]
        sign = claim.attempt, None
        assert self.workers[worker].give_back(
            claim.id, sign, "it ended", forgive=forgive
        ) == expected.holds(claim)
        if expected.holds(claim):
            expected.give_back(forgive=forgive)

    @rule(target=signs, worker=st.integers(0, 1))
    def look(self, worker: int) -> MultipleResults[tuple[str, tuple[int, int]]]:
        """A worker sees which runs are running, and remembers it as long as it likes."""
        seen = self.workers[worker].running()
        assert set(seen) == {run for run, each in self.runs.items() if each.state == "running"}
        return multiple(*seen.items())

    @rule(seen=consumes(signs), worker=st.integers(0, 1))
    def take_over(self, seen: tuple[str, tuple[int, int]], worker: int) -> None:
        """A run is taken over only if it has shown no sign of life since it was seen."""
        run, sign = seen
        current = self.workers[worker].running().get(run)
        taken = self.workers[worker].give_back(run, sign, "silent")
        assert taken == (current == sign)
        if taken:
            self.runs[run].give_back()

    @rule(index=st.integers(0, 5))
    def cancel(self, index: int) -> None:
        """What waits is cancelled, what runs is told so, and what has ended stays."""
        if index < len(self.runs):
            run, expected = list(self.runs.items())[index]
            self.tasks.cancel(run)
            if expected.state in {"waiting", "running"}:
                expected.cancelling = True
            if expected.state == "waiting":
                expected.state = "cancelled"

    @rule(index=st.integers(0, 5))
    def retry(self, index: int) -> None:
        """Only what failed or was cancelled is tried again, and as often as at first."""
        if index < len(self.runs):
            run, expected = list(self.runs.items())[index]
            may = expected.state in {"failed", "cancelled"}
            try:
                self.tasks.retry(run)
                assert may
                expected.state, expected.tried, expected.cancelling = "waiting", 0, False
            except CannotRetry:
                assert not may

    @invariant()
    def totals(self) -> None:
        """Runs are counted by state, and each that ends, also if it is retried later."""
        states = {run: each.state for run, each in self.runs.items()}
        for run, state in states.items():
            if state in ENDED and self.states.get(run) not in ENDED:
                self.ended[state] += 1
        self.states = states
        summary = self.tasks.summary()
        counts = Counter(states.values())
        found = summary.open.get("Count", Open())
        assert (found.waiting, found.running) == (counts["waiting"], counts["running"])
        assert (found.oldest is None) == (not counts["waiting"])
        assert {state: total.runs for (_, state), total in summary.ended.items()} == self.ended

    @invariant()
    def as_expected(self) -> None:
        """Every run that was accepted is there, as the model has it, and so is its result."""
        listed = {run.id: run for run in self.tasks.list()}
        assert set(listed) == set(self.runs)
        for run, expected in self.runs.items():
            found = listed[run]
            assert (found.state, found.attempt) == (expected.state, expected.attempt)
            try:
                assert bytes(self.tasks.result(run)) == expected.result
            except NotEnded:
                assert expected.state in {"waiting", "running"}
            except NoResult:
                assert expected.state in {"failed", "cancelled"}


def test_model(make_url: Callable[[], str]) -> None:
    """No order of submits, claims, lapses, stale writes, cancels and clock jumps loses anything."""
    machine = type("Case", (Runs,), {"make_url": staticmethod(make_url)})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=15, stateful_step_count=25, deadline=None)
    )
