"""Every message once, whatever dies: the protocol against a model of Kafka and of Spark."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidemill.errors import GroupOffsetLost, GroupOffsetsChanged, Superseded, TransactionFailed
from tidemill.streaming.exactly_once.owner import Owner
from tidemill.streaming.exactly_once.position import Position, Run, resume, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.streaming.exactly_once.position import Partition

PARTITIONS = (("in", 0), ("in", 1))
TOPIC_ID = "a-topic-id"
# What goes wrong in an attempt at a task, and after how many commits.
FAULTS = st.tuples(
    st.sampled_from(
        ["none", "none", "none", "nothing sent", "fenced", "answer lost", "dies", "died"]
    ),
    st.integers(0, 2),
)


class Died(BaseException):
    """A process was killed: nothing in it goes on, and no exception handler runs."""


@dataclass
class Kafka:
    """What is committed: outcomes and offsets; and which of the producers of an id is the last."""

    outcomes: dict[Partition, list[tuple[int, Run]]] = field(
        default_factory=lambda: {at: [] for at in PARTITIONS}
    )
    positions: dict[Partition, Position] = field(default_factory=dict)
    epochs: dict[Partition, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))
    fault: str = "none"
    refused: int = 0  # commits of a ledger that is fenced
    spared: int = 0  # commits before the one that meets the fault

    def take(self, at: Partition, run: Run) -> ModelLedger:
        """Fence the older ones."""
        self.epochs[at] += 1
        return ModelLedger(self, at, self.epochs[at], run, self.positions.get(at))

    def meet(self) -> str:
        """Return what goes wrong now."""
        self.spared -= 1
        fault, self.fault = ("none", self.fault) if self.spared >= 0 else (self.fault, "none")
        return fault


@dataclass
class ModelLedger:
    """A transactional producer, of which anything may go wrong once."""

    kafka: Kafka
    at: Partition
    epoch: int
    run: Run
    left: Position | None
    closed: bool = False

    def commit(self, rows: Sequence[int], following: int) -> None:
        """Commit all or nothing, as the broker does; fail as a network and a process do."""
        assert not self.closed
        fault = self.kafka.meet()
        if fault == "dies":
            raise Died
        verify(self.at, self.kafka.positions.get(self.at), self.left, self.run)
        if fault == "fenced":  # by another attempt at the same task, in the meantime
            self.kafka.epochs[self.at] += 1
        is_fenced = self.kafka.epochs[self.at] != self.epoch
        self.kafka.refused += is_fenced
        if fault == "nothing sent" or is_fenced:
            raise TransactionFailed(self.at, "fenced, or not sent")
        self.kafka.outcomes[self.at] += [(row, self.run) for row in rows]
        self.kafka.positions[self.at] = self.left = Position(following, self.run, TOPIC_ID)
        if fault == "died":
            raise Died
        if fault == "answer lost":
            raise TransactionFailed(self.at, "timed out")

    def close(self) -> None:
        """Be of no use any more."""
        self.closed = True


@dataclass
class Job:
    """A run: Spark's plan as it sees it, and its workers."""

    kafka: Kafka
    run: Run
    plan: dict[Partition, list[int]] | None = None
    done: set[Partition] = field(default_factory=set)
    workers: list[Owner[int]] = field(default_factory=list)

    def worker(self) -> Owner[int]:
        """Return a new process's owner."""
        # One of two partitions: what is kept is given up as well.
        return Owner(self.take, most=1)

    def take(self, at: Partition) -> tuple[ModelLedger, int]:
        """Take a partition as a worker does."""
        ledger = self.kafka.take(at, self.run)
        position = self.kafka.positions.get(at)
        return ledger, resume(at, position, self.run, TOPIC_ID, TOPIC_ID)

    def claim(self) -> None:
        """Take all partitions as a start does."""
        for at in PARTITIONS:
            ledger = self.kafka.take(at, self.run)
            ledger.commit((), self.kafka.positions.get(at, Position(0)).offset)


class Machine(RuleBasedStateMachine):
    """Messages come, Spark plans and runs, and everything dies."""

    @initialize()
    def begin(self) -> None:
        """Start the first run."""
        self.kafka = Kafka()
        self.inputs: dict[Partition, list[int]] = {at: [] for at in PARTITIONS}
        self.checkpoint = dict.fromkeys(PARTITIONS, 0)
        self.planned: dict[Partition, list[int]] | None = None
        self.numbers = count(1)
        self.zombies: list[Job] = []
        self.start()

    def start(self) -> None:
        """Start a run, which goes on with what Spark's checkpoint had planned."""
        self.job = Job(self.kafka, Run(next(self.numbers), "id"), self.planned)
        self.job.workers = [self.job.worker() for _ in range(2)]
        self.job.claim()

    @rule(gap=st.integers(0, 3), numbers=st.tuples(st.integers(0, 9), st.integers(1, 9)))
    def messages_come(self, gap: int, numbers: tuple[int, int]) -> None:
        """Some with offsets left out before them, as markers and compaction leave."""
        for at, number in zip(PARTITIONS, numbers, strict=True):
            following = self.inputs[at][-1] + 1 if self.inputs[at] else 0
            self.inputs[at] += range(following + gap, following + gap + number)

    def plan(self) -> None:
        """Spark writes its offset log: what comes next is all that is there."""
        self.planned = {
            at: [offset for offset in self.inputs[at] if offset >= self.checkpoint[at]]
            for at in PARTITIONS
        }
        self.job.plan, self.job.done = self.planned, set()

    @rule(
        at=st.sampled_from(PARTITIONS),
        who=st.integers(0, 1),
        size=st.integers(1, 3),
        fault=FAULTS,
    )
    def task(self, at: Partition, who: int, size: int, fault: tuple[str, int]) -> None:
        """A task runs, on whichever worker, with batches of any size; or an attempt of it fails."""
        if self.job.plan is None:
            self.plan()
        self.run_task(self.job, at, who, size, fault)

    @precondition(lambda self: self.zombies)
    @rule(
        which=st.integers(0, 3),
        at=st.sampled_from(PARTITIONS),
        who=st.integers(0, 1),
        size=st.integers(1, 4),
        fault=FAULTS,
    )
    def zombie_task(
        self, which: int, at: Partition, who: int, size: int, fault: tuple[str, int]
    ) -> None:
        """What was taken for dead goes on as if nothing were; nothing of it is accepted."""
        job = self.zombies[which % len(self.zombies)]
        if job.plan is None:
            return
        before = {p: list(rows) for p, rows in self.kafka.outcomes.items()}
        self.run_task(job, at, who, size, fault)
        assert self.kafka.outcomes == before

    def run_task(
        self, job: Job, at: Partition, who: int, size: int, fault: tuple[str, int]
    ) -> None:
        """Run one attempt."""
        assert job.plan is not None
        offsets = job.plan[at]
        self.kafka.fault, self.kafka.spared = fault
        try:
            for first in range(0, len(offsets), size):
                part = offsets[first : first + size]
                job.workers[who].deliver(at, part, lambda start, part=part: part[start:])
            job.done.add(at)
        except Died:
            job.workers[who] = job.worker()
        except (TransactionFailed, Superseded):
            pass  # Spark tries again, at another step
        finally:
            self.kafka.fault = "none"

    @rule(at=st.sampled_from(PARTITIONS), who=st.integers(0, 1), to=st.none() | st.integers(0, 30))
    def offset_is_set(self, at: Partition, who: int, to: int | None) -> None:
        """Somebody sets the group's offset, or deletes it: a worker stops, and overwrites nothing.

        Then they put it back.
        """
        if self.planned is None or at in self.job.done:
            return
        before = self.kafka.positions.pop(at)
        due = [offset for offset in self.planned[at] if offset >= before.offset]
        outcomes = list(self.kafka.outcomes[at])
        if to is not None:
            self.kafka.positions[at] = Position(to)
        changed = self.kafka.positions.get(at)
        if due:
            with pytest.raises((GroupOffsetsChanged, GroupOffsetLost)):
                self.job.workers[who].deliver(at, due, lambda start: due[start:])
        assert self.kafka.positions.get(at) == changed
        assert self.kafka.outcomes[at] == outcomes
        self.kafka.positions[at] = before

    @precondition(lambda self: self.planned is not None and self.job.done == set(PARTITIONS))
    @rule()
    def commit(self) -> None:
        """Spark writes its commit log."""
        assert self.planned is not None
        for at, offsets in self.planned.items():
            self.checkpoint[at] = max([self.checkpoint[at], *(offset + 1 for offset in offsets)])
        self.planned = self.job.plan = None

    @rule(who=st.integers(0, 1))
    def worker_is_killed(self, who: int) -> None:
        """Between two tasks."""
        self.job.workers[who] = self.job.worker()

    @rule(paused=st.booleans())
    def driver_is_replaced(self, paused: bool) -> None:
        """Killed, or only taken for dead."""
        if paused:
            self.zombies.append(self.job)
        self.start()

    @rule()
    def checkpoint_is_lost(self) -> None:
        """A start without its checkpoint goes on at the group's offsets."""
        self.planned = None
        self.start()
        for at in PARTITIONS:
            self.checkpoint[at] = self.kafka.positions[at].offset

    @invariant()
    def each_once_in_order(self) -> None:
        """What readers see is the beginning of what came, up to the group's offset."""
        for at in PARTITIONS:
            answered = [offset for offset, _ in self.kafka.outcomes[at]]
            following = self.kafka.positions[at].offset
            assert answered == [offset for offset in self.inputs[at] if offset < following]

    @invariant()
    def nothing_done_is_unanswered(self) -> None:
        """Spark's checkpoint is never ahead of the group, but for gaps."""
        for at in PARTITIONS:
            following = self.kafka.positions[at].offset
            assert not [o for o in self.inputs[at] if following <= o < self.checkpoint[at]]

    def teardown(self) -> None:
        """In the end all is answered."""
        for _ in range(2):
            if self.planned is None:
                self.plan()
            for at in PARTITIONS:
                while at not in self.job.done:
                    self.run_task(self.job, at, 0, 3, ("none", 0))
            self.commit()
        for at in PARTITIONS:
            assert [offset for offset, _ in self.kafka.outcomes[at]] == self.inputs[at]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)


class TestOwner:
    """What one process owns."""

    @staticmethod
    def owner(kafka: Kafka, most: int = 32) -> Owner[int]:
        """Return an owner of partitions of which nothing is answered."""
        run = Run(1, "id")

        def take(at: Partition) -> tuple[ModelLedger, int]:
            return kafka.take(at, run), kafka.positions.get(at, Position(0)).offset

        return Owner(take, most)

    def test_what_another_has_taken(self) -> None:
        """The offset shows that another worker has fenced a ledger; the last one is kept."""
        kafka = Kafka()
        one, other = self.owner(kafka), self.owner(kafka)
        at = PARTITIONS[0]
        for owner, offsets in ((one, [0]), (other, [1]), (one, [2]), (one, [3])):
            owner.deliver(at, offsets, lambda start, offsets=offsets: offsets[start:])
        assert kafka.epochs[at] == 3
        assert kafka.refused == 0
        assert [offset for offset, _ in kafka.outcomes[at]] == [0, 1, 2, 3]

    def test_ledgers_are_kept_and_the_oldest_given_up(self) -> None:
        """A partition that comes again costs no new ledger, as long as there is room."""
        kafka = Kafka()
        owner = self.owner(kafka, most=1)
        first, second = PARTITIONS
        for at, offsets in ((first, [0]), (first, [1]), (second, [0]), (first, [2])):
            owner.deliver(at, offsets, lambda start, offsets=offsets: offsets[start:])
        assert kafka.epochs == {first: 2, second: 1}
        assert [offset for offset, _ in kafka.outcomes[first]] == [0, 1, 2]

    def test_what_is_done_is_not_predicted(self) -> None:
        """Only what is due is asked for."""
        kafka = Kafka(positions={PARTITIONS[0]: Position(2)})
        asked: list[int] = []

        def answer(start: int) -> list[int]:
            asked.append(start)
            return [0, 1, 2, 3][start:]

        owner = self.owner(kafka)
        assert owner.deliver(PARTITIONS[0], [0, 1], answer) == []
        assert owner.deliver(PARTITIONS[0], [0, 1, 2, 3], answer) == [2, 3]
        assert asked == [2]

    @pytest.mark.parametrize("to", [0, 1, 3, 9])
    def test_an_offset_that_somebody_sets(self, to: int) -> None:
        """Between two batches, to whatever: nothing is written, and the offset stays."""
        kafka = Kafka()
        owner = self.owner(kafka)
        at = PARTITIONS[0]
        owner.deliver(at, [0, 1, 2], lambda start: [0, 1, 2][start:])
        kafka.positions[at] = Position(to)
        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            owner.deliver(at, [3, 4], lambda start: [3, 4][start:])
        assert kafka.positions[at] == Position(to)
        assert [offset for offset, _ in kafka.outcomes[at]] == [0, 1, 2]

    def test_while_a_batch_is_predicted(self) -> None:
        """It is seen just before the commit, however long the prediction took."""
        kafka = Kafka()
        owner = self.owner(kafka)
        at = PARTITIONS[0]
        owner.deliver(at, [0], lambda start: [0][start:])

        def answer(start: int) -> list[int]:
            kafka.positions[at] = Position(0)
            return [1, 2][start:]

        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            owner.deliver(at, [1, 2], answer)
        assert [offset for offset, _ in kafka.outcomes[at]] == [0]

    def test_an_offset_that_went_back(self) -> None:
        """If the group says less than before, nothing is written: it would be there twice."""
        kafka = Kafka()
        owner = self.owner(kafka)
        owner.deliver(PARTITIONS[0], [0, 1, 2], lambda start: [0, 1, 2][start:])
        kafka.positions[PARTITIONS[0]] = Position(1, Run(1, "id"), TOPIC_ID)
        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            owner.deliver(PARTITIONS[0], [2, 3, 4], lambda start: [2, 3, 4][start:])
        assert [offset for offset, _ in kafka.outcomes[PARTITIONS[0]]] == [0, 1, 2]
