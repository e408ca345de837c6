"""All outcomes exactly once, whatever fails: the protocol against a model of Kafka and Spark."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidemill.errors import GroupOffsetLost, GroupOffsetsChanged, Superseded, TransactionFailed
from tidemill.streaming.exactly_once.owner import PartitionOwner
from tidemill.streaming.exactly_once.position import (
    CommittedOffset,
    RunEpoch,
    TopicPartition,
    resume,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTITIONS = (("in", 0), ("in", 1))
TOPIC_ID = "a-topic-id"
# The numbers of outcomes of messages that arrive.
SIZES = st.lists(st.integers(0, 5), max_size=9)
# The partitions of a task: Spark may put two into one.
TASKS = st.sampled_from([(PARTITIONS[0],), (PARTITIONS[1],), PARTITIONS])
WORKERS = st.integers(0, 1)
# The fault in a part of an attempt at a task, and the number of commits before it.
FAULTS = st.tuples(
    st.sampled_from(
        ["none", "none", "none", "not sent", "fenced", "reply lost", "dies before", "dies after"]
    ),
    st.integers(0, 2),
)


# An outcome in this model: its message's offset, and its number among the message's outcomes.
Outcome: TypeAlias = tuple[int, int]


class Killed(BaseException):
    """A process was killed: no exception handler runs."""


@dataclass
class Kafka:
    """Committed outcomes and offsets, and the latest producer epoch of each partition."""

    outcomes: dict[TopicPartition, list[Outcome]] = field(
        default_factory=lambda: {tp: [] for tp in PARTITIONS}
    )
    committed: dict[TopicPartition, CommittedOffset] = field(default_factory=dict)
    epochs: dict[TopicPartition, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))
    fault: str = "none"
    refused: int = 0  # commits of fenced writers
    commits_before_fault: int = 0

    def open_writer(self, tp: TopicPartition, run: RunEpoch) -> ModelWriter:
        """Open a writer, which fences the earlier ones."""
        self.epochs[tp] += 1
        return ModelWriter(self, tp, self.epochs[tp], run, self.committed.get(tp))

    def next_fault(self) -> str:
        """Return the fault of the current commit."""
        self.commits_before_fault -= 1
        if self.commits_before_fault >= 0:
            return "none"
        fault, self.fault = self.fault, "none"
        return fault


@dataclass
class ModelWriter:
    """A transactional producer that may fail once."""

    kafka: Kafka
    tp: TopicPartition
    epoch: int
    run: RunEpoch
    expected: CommittedOffset | None
    closed: bool = False

    def commit(self, rows: Sequence[Outcome], next_offset: int) -> None:
        """Commit all or nothing, as the broker does; fail as networks and processes do."""
        assert not self.closed
        fault = self.kafka.next_fault()
        if fault == "dies before":
            raise Killed
        verify(self.tp, self.kafka.committed.get(self.tp), self.expected, self.run)
        if fault == "fenced":  # by another attempt at the same task
            self.kafka.epochs[self.tp] += 1
        is_fenced = self.kafka.epochs[self.tp] != self.epoch
        self.kafka.refused += is_fenced
        if fault == "not sent" or is_fenced:
            raise TransactionFailed(self.tp, "fenced, or not sent")
        self.kafka.outcomes[self.tp] += rows
        self.kafka.committed[self.tp] = self.expected = CommittedOffset(
            next_offset, self.run, TOPIC_ID
        )
        if fault == "dies after":
            raise Killed
        if fault == "reply lost":
            raise TransactionFailed(self.tp, "timed out")

    def close(self) -> None:
        """Accept no more commits."""
        self.closed = True


Batch: TypeAlias = tuple[TopicPartition, list[int]]


@dataclass
class Attempt:
    """An attempt at a task, which begins batches while earlier ones are predicted."""

    owner: PartitionOwner[Outcome]
    planned: deque[Batch]
    begun: deque[tuple[Batch, int]] = field(default_factory=deque)

    @property
    def is_over(self) -> bool:
        """Whether all batches are delivered."""
        return not (self.planned or self.begun)

    def begin(self, count: int) -> None:
        """Begin at most so many of the next batches."""
        for _ in range(min(count, len(self.planned))):
            batch = self.planned.popleft()
            self.begun.append((batch, self.owner.first_uncommitted(*batch)))


@dataclass
class Job:
    """A run of the job: its view of Spark's plan, and its workers."""

    kafka: Kafka
    run: RunEpoch
    plan: dict[TopicPartition, list[int]] | None = None
    done: set[TopicPartition] = field(default_factory=set)
    workers: list[PartitionOwner[Outcome]] = field(default_factory=list)
    # What each worker is doing, and the set of the partitions that its micro-batch has done.
    attempts: dict[int, tuple[Attempt, set[TopicPartition]]] = field(default_factory=dict)

    def worker(self) -> PartitionOwner[Outcome]:
        """Return the owner of a new process."""
        # Allow one writer for two partitions, so that owners also release writers.
        return PartitionOwner(self.open_writer, max_writers=1)

    def kill_worker(self, who: int) -> None:
        """Replace a worker, which loses what it was doing."""
        self.workers[who] = self.worker()
        self.attempts.pop(who, None)

    def open_writer(self, tp: TopicPartition) -> tuple[ModelWriter, int]:
        """Take over a partition as a worker does."""
        writer = self.kafka.open_writer(tp, self.run)
        committed = self.kafka.committed.get(tp)
        return writer, resume(tp, committed, self.run, TOPIC_ID, TOPIC_ID)

    def claim(self) -> None:
        """Claim all partitions as a start does."""
        for tp in PARTITIONS:
            writer = self.kafka.open_writer(tp, self.run)
            writer.commit((), self.kafka.committed.get(tp, CommittedOffset(0)).offset)


class Machine(RuleBasedStateMachine):
    """Messages arrive, Spark plans and runs tasks, and every process may die."""

    @initialize()
    def initialize(self) -> None:
        """Start the first run."""
        self.kafka = Kafka()
        self.inputs: dict[TopicPartition, list[int]] = {tp: [] for tp in PARTITIONS}
        self.sizes: dict[TopicPartition, dict[int, int]] = {tp: {} for tp in PARTITIONS}
        self.checkpoint = dict.fromkeys(PARTITIONS, 0)
        self.planned: dict[TopicPartition, list[int]] | None = None
        self.numbers = count(1)
        self.zombies: list[Job] = []
        self.start()

    def start(self) -> None:
        """Start a run, which resumes with the micro-batch that the checkpoint has planned."""
        self.job = Job(self.kafka, RunEpoch(next(self.numbers), "id"), self.planned)
        self.job.workers = [self.job.worker() for _ in range(2)]
        self.job.claim()

    @rule(gap=st.integers(0, 3), sizes=st.tuples(SIZES, SIZES.filter(bool)))
    def messages_arrive(self, gap: int, sizes: tuple[list[int], list[int]]) -> None:
        """Messages arrive, some after a gap, as transaction markers and compaction leave.

        Each has a number of outcomes, which may be 0.
        """
        for tp, new in zip(PARTITIONS, sizes, strict=True):
            first = gap + (self.inputs[tp][-1] + 1 if self.inputs[tp] else 0)
            self.inputs[tp] += range(first, first + len(new))
            self.sizes[tp] |= dict(enumerate(new, first))

    def predict(self, tp: TopicPartition, offsets: Sequence[int]) -> list[list[Outcome]]:
        """Return the outcomes of each message."""
        return [[(offset, n) for n in range(self.sizes[tp][offset])] for offset in offsets]

    def plan(self) -> None:
        """Spark writes its offset log: the next micro-batch covers all messages."""
        self.planned = {
            tp: [offset for offset in self.inputs[tp] if offset >= self.checkpoint[tp]]
            for tp in PARTITIONS
        }
        self.job.plan, self.job.done = self.planned, set()

    @rule(
        tps=TASKS,
        who=WORKERS,
        size=st.integers(1, 4),
        ahead=st.integers(0, 3),
        fault=FAULTS,
        overlap=st.integers(0, 3),
    )
    def task(
        self,
        tps: tuple[TopicPartition, ...],
        who: int,
        size: int,
        ahead: int,
        fault: tuple[str, int],
        overlap: int,
    ) -> None:
        """A task runs on any worker, with batches of any size; or an attempt of it fails."""
        if self.job.plan is None:
            self.plan()
        self.run_task(self.job, tps, who, size, ahead, fault, overlap)

    @rule(tps=TASKS, who=WORKERS, size=st.integers(1, 4))
    def task_starts(self, tps: tuple[TopicPartition, ...], who: int, size: int) -> None:
        """A task starts; what its worker has been doing is cancelled."""
        if self.job.plan is None:
            self.plan()
        self.start_task(self.job, tps, who, size)

    @precondition(lambda self: self.job.attempts)
    @rule(
        who=WORKERS,
        begin=st.integers(0, 4),
        deliver=st.integers(0, 4),
        fault=FAULTS,
        overlap=st.integers(0, 3),
    )
    def task_continues(
        self, who: int, begin: int, deliver: int, fault: tuple[str, int], overlap: int
    ) -> None:
        """A task begins some batches, and delivers some that it began, perhaps long ago."""
        if who in self.job.attempts:
            self.continue_task(self.job, who, begin, deliver, fault, overlap)

    @precondition(lambda self: self.zombies)
    @rule(
        which=st.integers(0, 3),
        tps=TASKS,
        who=WORKERS,
        size=st.integers(1, 4),
        ahead=st.integers(0, 3),
        fault=FAULTS,
    )
    def zombie_task(
        self,
        which: int,
        tps: tuple[TopicPartition, ...],
        who: int,
        size: int,
        ahead: int,
        fault: tuple[str, int],
    ) -> None:
        """A job that was presumed dead runs another task; Kafka accepts nothing from it."""
        job = self.zombies[which % len(self.zombies)]
        if job.plan is None:
            return
        before = {tp: list(rows) for tp, rows in self.kafka.outcomes.items()}
        self.run_task(job, tps, who, size, ahead, fault)
        assert self.kafka.outcomes == before

    @precondition(lambda self: any(job.attempts for job in self.zombies))
    @rule(
        which=st.integers(0, 3),
        who=WORKERS,
        begin=st.integers(0, 4),
        deliver=st.integers(0, 4),
        fault=FAULTS,
    )
    def zombie_task_continues(
        self, which: int, who: int, begin: int, deliver: int, fault: tuple[str, int]
    ) -> None:
        """It goes on with a task; Kafka accepts nothing, not even batches that it began before."""
        job = self.zombies[which % len(self.zombies)]
        before = {tp: list(rows) for tp, rows in self.kafka.outcomes.items()}
        if who in job.attempts:
            self.continue_task(job, who, begin, deliver, fault)
        assert self.kafka.outcomes == before

    def start_task(self, job: Job, tps: Sequence[TopicPartition], who: int, size: int) -> None:
        """Plan an attempt's batches, which have one partition each."""
        assert job.plan is not None
        planned = deque(
            (tp, job.plan[tp][first : first + size])
            for tp in tps
            for first in range(0, len(job.plan[tp]), size)
        )
        job.attempts[who] = Attempt(job.workers[who], planned), job.done

    def continue_task(
        self,
        job: Job,
        who: int,
        begin: int,
        deliver: int,
        fault: tuple[str, int],
        overlap: int = 0,
    ) -> None:
        """Begin some batches and deliver some; before each, the other worker may commit a part."""
        attempt, done = job.attempts[who]
        tps = {tp for tp, _ in (*attempt.planned, *(batch for batch, _ in attempt.begun))}
        self.kafka.fault, self.kafka.commits_before_fault = fault
        try:
            attempt.begin(begin)
            for _ in range(min(deliver, len(attempt.begun))):
                if overlap:
                    self.overlap(job, 1 - who, attempt.begun[0][0], overlap)
                self.deliver_next(attempt)
        except Killed:
            job.kill_worker(who)
        except (TransactionFailed, Superseded):
            del job.attempts[who]  # Spark retries in a later step
        else:
            done |= tps - {tp for tp, _ in attempt.planned} - {tp for (tp, _), _ in attempt.begun}
            if attempt.is_over:
                del job.attempts[who]
        finally:
            self.kafka.fault = "none"

    def run_task(
        self,
        job: Job,
        tps: Sequence[TopicPartition],
        who: int,
        size: int,
        ahead: int,
        fault: tuple[str, int],
        overlap: int = 0,
    ) -> None:
        """Run an attempt to its end; it has begun at most `ahead` batches after the current one."""
        assert job.plan is not None
        self.start_task(job, tps, who, size)
        done = job.attempts[who][1]
        done |= {tp for tp in tps if not job.plan[tp]}
        name, commits_before = fault
        while who in job.attempts and not job.attempts[who][0].is_over:
            begun = len(job.attempts[who][0].begun)
            self.continue_task(job, who, ahead + 1 - begun, 1, (name, commits_before), overlap)
            commits_before -= 1
            name = name if commits_before >= 0 else "none"

    def overlap(self, job: Job, who: int, batch: Batch, count: int) -> None:
        """Another attempt commits the first messages of a batch that has begun."""
        fault, self.kafka.fault = self.kafka.fault, "none"
        tp, offsets = batch
        attempt = Attempt(job.workers[who], deque([(tp, offsets[:count])]))
        attempt.begin(1)
        self.deliver_next(attempt)
        self.kafka.fault = fault

    def deliver_next(self, attempt: Attempt) -> None:
        """Deliver the oldest batch that has begun."""
        (tp, offsets), first = attempt.begun.popleft()
        attempt.owner.deliver(tp, offsets, first, self.predict(tp, offsets[first:]))

    @rule(
        tp=st.sampled_from(PARTITIONS),
        who=WORKERS,
        to=st.none() | st.integers(0, 30),
        has_begun=st.booleans(),
    )
    def offset_is_changed(
        self, tp: TopicPartition, who: int, to: int | None, has_begun: bool
    ) -> None:
        """Somebody sets or deletes the group's offset: a worker stops and overwrites nothing.

        The worker may have begun the batch before. Afterwards they restore the offset.
        """
        if self.planned is None or tp in self.job.done:
            return
        before = self.kafka.committed[tp]
        pending = [offset for offset in self.planned[tp] if offset >= before.offset]
        outcomes = list(self.kafka.outcomes[tp])
        attempt = Attempt(self.job.workers[who], deque([(tp, pending)] if pending else ()))
        attempt.begin(has_begun)
        del self.kafka.committed[tp]
        if to is not None:
            self.kafka.committed[tp] = CommittedOffset(to)
        changed = self.kafka.committed.get(tp)
        if pending:
            with pytest.raises((GroupOffsetsChanged, GroupOffsetLost)):  # noqa: PT012 - in either
                attempt.begin(1)
                self.deliver_next(attempt)
        assert self.kafka.committed.get(tp) == changed
        assert self.kafka.outcomes[tp] == outcomes
        self.kafka.committed[tp] = before

    @precondition(lambda self: self.planned is not None and self.job.done == set(PARTITIONS))
    @rule()
    def commit(self) -> None:
        """Spark writes its commit log."""
        assert self.planned is not None
        for tp, offsets in self.planned.items():
            self.checkpoint[tp] = max([self.checkpoint[tp], *(offset + 1 for offset in offsets)])
        self.planned = self.job.plan = None

    @rule(who=WORKERS)
    def worker_is_killed(self, who: int) -> None:
        """A worker dies between two tasks, or two batches of a task."""
        self.job.kill_worker(who)

    @rule(paused=st.booleans())
    def driver_is_replaced(self, paused: bool) -> None:
        """The driver is killed, or only presumed dead."""
        if paused:
            self.zombies.append(self.job)
        self.start()

    @rule()
    def checkpoint_is_lost(self) -> None:
        """A start without its checkpoint resumes at the group's offsets."""
        self.planned = None
        self.start()
        for tp in PARTITIONS:
            self.checkpoint[tp] = self.kafka.committed[tp].offset

    @invariant()
    def each_once_in_order(self) -> None:
        """Readers see all outcomes of every message before the group's offset, once, in order."""
        for tp in PARTITIONS:
            next_offset = self.kafka.committed[tp].offset
            processed = [offset for offset in self.inputs[tp] if offset < next_offset]
            assert self.kafka.outcomes[tp] == [*chain(*self.predict(tp, processed))]

    @invariant()
    def checkpoint_is_not_ahead(self) -> None:
        """Spark's checkpoint is never ahead of the group, except over gaps."""
        for tp in PARTITIONS:
            next_offset = self.kafka.committed[tp].offset
            assert not [o for o in self.inputs[tp] if next_offset <= o < self.checkpoint[tp]]

    def teardown(self) -> None:
        """In the end every message is processed."""
        for _ in range(2):
            if self.planned is None:
                self.plan()
            for tp in PARTITIONS:
                while tp not in self.job.done:
                    self.run_task(self.job, [tp], 0, 3, 1, ("none", 0))
            self.commit()
        for tp in PARTITIONS:
            assert self.kafka.outcomes[tp] == [*chain(*self.predict(tp, self.inputs[tp]))]
            assert not [o for o in self.inputs[tp] if o >= self.kafka.committed[tp].offset]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)


def deliver(
    owner: PartitionOwner[Outcome], tp: TopicPartition, offsets: list[int]
) -> list[Outcome]:
    """Deliver a batch with one outcome for each message."""
    first = owner.first_uncommitted(tp, offsets)
    return owner.deliver(tp, offsets, first, [[(offset, 0)] for offset in offsets[first:]])


class TestOwner:
    """The partitions and writers of one process."""

    @staticmethod
    def owner(kafka: Kafka, max_writers: int = 32) -> PartitionOwner[Outcome]:
        """Return an owner of partitions without processed messages."""
        run = RunEpoch(1, "id")

        def open_writer(tp: TopicPartition) -> tuple[ModelWriter, int]:
            return kafka.open_writer(tp, run), kafka.committed.get(tp, CommittedOffset(0)).offset

        return PartitionOwner(open_writer, max_writers)

    def test_fenced_by_another_worker(self) -> None:
        """The offset shows that another worker fenced a writer; the last writer is kept."""
        kafka = Kafka()
        one, other = self.owner(kafka), self.owner(kafka)
        tp = PARTITIONS[0]
        for owner, offsets in ((one, [0]), (other, [1]), (one, [2]), (one, [3])):
            deliver(owner, tp, offsets)
        assert kafka.epochs[tp] == 3
        assert kafka.refused == 0
        assert [offset for offset, _ in kafka.outcomes[tp]] == [0, 1, 2, 3]

    def test_max_writers(self) -> None:
        """A partition keeps its writer until the owner has too many and closes the oldest."""
        kafka = Kafka()
        owner = self.owner(kafka, max_writers=1)
        first, second = PARTITIONS
        for tp, offsets in ((first, [0]), (first, [1]), (second, [0]), (first, [2])):
            deliver(owner, tp, offsets)
        assert kafka.epochs == {first: 2, second: 1}
        assert [offset for offset, _ in kafka.outcomes[first]] == [0, 1, 2]

    def test_committed_messages_are_not_predicted(self) -> None:
        """The model sees only messages that are not committed yet."""
        kafka = Kafka(committed={PARTITIONS[0]: CommittedOffset(2)})
        owner = self.owner(kafka)
        assert owner.first_uncommitted(PARTITIONS[0], [0, 1]) == 2
        assert owner.deliver(PARTITIONS[0], [0, 1], 2, []) == []
        assert owner.first_uncommitted(PARTITIONS[0], [0, 1, 2, 3]) == 2
        assert deliver(owner, PARTITIONS[0], [0, 1, 2, 3]) == [(2, 0), (3, 0)]

    def test_committed_in_part(self) -> None:
        """If a batch is committed in part, the other messages follow, with all their outcomes."""
        kafka = Kafka()
        owner, other = self.owner(kafka), self.owner(kafka)
        tp = PARTITIONS[0]
        outcomes: list[list[Outcome]] = [[(0, 0), (0, 1), (0, 2)], [], [(2, 0), (2, 1)], []]
        first = owner.first_uncommitted(tp, [0, 1, 2, 3])
        other.deliver(tp, [0, 1], first, outcomes[:2])  # fences the owner
        assert owner.deliver(tp, [0, 1, 2, 3], first, outcomes) == outcomes[2]
        assert kafka.outcomes[tp] == [*chain(*outcomes)]
        assert kafka.committed[tp].offset == 4

    def test_ahead(self) -> None:
        """Batches may begin before earlier ones are delivered; one writer delivers them all."""
        kafka = Kafka()
        owner = self.owner(kafka)
        tp = PARTITIONS[0]
        batches = [[0, 1], [2, 3], [4]]
        assert [owner.first_uncommitted(tp, offsets) for offsets in batches] == [0, 0, 0]
        for offsets in batches:
            owner.deliver(tp, offsets, 0, [[(offset, 0)] for offset in offsets])
        assert kafka.outcomes[tp] == [(offset, 0) for offset in range(5)]
        assert kafka.epochs[tp] == 1

    def test_fenced_ahead(self) -> None:
        """Another worker may commit more than one of the batches that have begun."""
        kafka = Kafka()
        owner, other = self.owner(kafka), self.owner(kafka)
        tp = PARTITIONS[0]
        batches = [[0, 1], [2, 3], [4]]
        assert [owner.first_uncommitted(tp, offsets) for offsets in batches] == [0, 0, 0]
        deliver(other, tp, [0, 1, 2])
        delivered = [
            owner.deliver(tp, offsets, 0, [[(offset, 0)] for offset in offsets])
            for offsets in batches
        ]
        assert delivered == [[], [(3, 0)], [(4, 0)]]
        assert kafka.outcomes[tp] == [(offset, 0) for offset in range(5)]

    def test_closed_ahead(self) -> None:
        """A writer that is closed meanwhile, for another partition's sake, is opened again."""
        kafka = Kafka()
        owner = self.owner(kafka, max_writers=1)
        assert [owner.first_uncommitted(tp, [0]) for tp in PARTITIONS] == [0, 0]
        for tp in PARTITIONS:
            owner.deliver(tp, [0], 0, [[(0, 0)]])
        assert kafka.outcomes == {tp: [(0, 0)] for tp in PARTITIONS}

    def test_no_outcomes(self) -> None:
        """The offset of messages without any outcome is committed too."""
        kafka = Kafka()
        owner = self.owner(kafka)
        assert owner.deliver(PARTITIONS[0], [0, 1], 0, [[], []]) == []
        assert kafka.committed[PARTITIONS[0]].offset == 2

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_wrong_number_of_outcomes(self, count: int) -> None:
        """Nothing is committed if there is not one list of outcomes for each message."""
        kafka = Kafka()
        owner = self.owner(kafka)
        with pytest.raises(ValueError, match=f"{count} outcomes for 2 messages"):
            owner.deliver(PARTITIONS[0], [0, 1], 0, [[]] * count)
        assert PARTITIONS[0] not in kafka.committed

    @pytest.mark.parametrize("to", [0, 1, 3, 9])
    def test_changed_offset(self, to: int) -> None:
        """If somebody sets the offset between two batches, nothing is written, and it stays."""
        kafka = Kafka()
        owner = self.owner(kafka)
        tp = PARTITIONS[0]
        deliver(owner, tp, [0, 1, 2])
        kafka.committed[tp] = CommittedOffset(to)
        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            deliver(owner, tp, [3, 4])
        assert kafka.committed[tp] == CommittedOffset(to)
        assert [offset for offset, _ in kafka.outcomes[tp]] == [0, 1, 2]

    def test_changed_during_prediction(self) -> None:
        """The check runs just before the commit, however long the prediction took."""
        kafka = Kafka()
        owner = self.owner(kafka)
        tp = PARTITIONS[0]
        deliver(owner, tp, [0])
        first = owner.first_uncommitted(tp, [1, 2])
        kafka.committed[tp] = CommittedOffset(0)
        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            owner.deliver(tp, [1, 2], first, [[(1, 0)], [(2, 0)]])
        assert [offset for offset, _ in kafka.outcomes[tp]] == [0]

    def test_offset_moved_back(self) -> None:
        """If the offset moved back, nothing is written, because it would be written twice."""
        kafka = Kafka()
        owner = self.owner(kafka)
        deliver(owner, PARTITIONS[0], [0, 1, 2])
        kafka.committed[PARTITIONS[0]] = CommittedOffset(1, RunEpoch(1, "id"), TOPIC_ID)
        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            deliver(owner, PARTITIONS[0], [2, 3, 4])
        assert [offset for offset, _ in kafka.outcomes[PARTITIONS[0]]] == [0, 1, 2]
