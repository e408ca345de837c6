"""All outcomes exactly once, whatever fails: the protocol against a model of Kafka and Spark."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidemill.errors import GroupOffsetLost, GroupOffsetsChanged, Superseded, TransactionFailed
from tidemill.streaming.exactly_once.owner import PartitionOwner
from tidemill.streaming.exactly_once.position import CommittedOffset, RunEpoch, resume, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.streaming.exactly_once.position import TopicPartition

PARTITIONS = (("in", 0), ("in", 1))
TOPIC_ID = "a-topic-id"
# The numbers of outcomes of messages that arrive.
SIZES = st.lists(st.integers(0, 5), max_size=9)
# The fault in an attempt at a task, and the number of commits before it.
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


@dataclass
class Job:
    """A run of the job: its view of Spark's plan, and its workers."""

    kafka: Kafka
    run: RunEpoch
    plan: dict[TopicPartition, list[int]] | None = None
    done: set[TopicPartition] = field(default_factory=set)
    workers: list[PartitionOwner[Outcome]] = field(default_factory=list)

    def worker(self) -> PartitionOwner[Outcome]:
        """Return the owner of a new process."""
        # Allow one writer for two partitions, so that owners also release writers.
        return PartitionOwner(self.open_writer, max_writers=1)

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
        tp=st.sampled_from(PARTITIONS),
        who=st.integers(0, 1),
        size=st.integers(1, 4),
        fault=FAULTS,
        ahead=st.integers(0, 3),
    )
    def task(
        self, tp: TopicPartition, who: int, size: int, fault: tuple[str, int], ahead: int
    ) -> None:
        """A task runs on any worker, with batches of any size; or an attempt of it fails.

        While it predicts, another attempt may commit the first messages of the same batch.
        """
        if self.job.plan is None:
            self.plan()
        self.run_task(self.job, tp, who, size, fault, ahead)

    @precondition(lambda self: self.zombies)
    @rule(
        which=st.integers(0, 3),
        tp=st.sampled_from(PARTITIONS),
        who=st.integers(0, 1),
        size=st.integers(1, 4),
        fault=FAULTS,
    )
    def zombie_task(
        self, which: int, tp: TopicPartition, who: int, size: int, fault: tuple[str, int]
    ) -> None:
        """A job that was presumed dead continues; Kafka accepts nothing from it."""
        job = self.zombies[which % len(self.zombies)]
        if job.plan is None:
            return
        before = {p: list(rows) for p, rows in self.kafka.outcomes.items()}
        self.run_task(job, tp, who, size, fault)
        assert self.kafka.outcomes == before

    def run_task(
        self,
        job: Job,
        tp: TopicPartition,
        who: int,
        size: int,
        fault: tuple[str, int],
        ahead: int = 0,
    ) -> None:
        """Run one attempt; the other worker commits the first `ahead` messages of each batch."""
        assert job.plan is not None
        offsets = job.plan[tp]
        self.kafka.fault, self.kafka.commits_before_fault = fault
        try:
            for first in range(0, len(offsets), size):
                part = offsets[first : first + size]
                self.deliver(job, tp, who, part, ahead)
            job.done.add(tp)
        except Killed:
            job.workers[who] = job.worker()
        except (TransactionFailed, Superseded):
            pass  # Spark retries in a later step
        finally:
            self.kafka.fault = "none"

    def deliver(
        self, job: Job, tp: TopicPartition, who: int, offsets: list[int], ahead: int = 0
    ) -> None:
        """Deliver a batch; while the model predicts, the other worker commits a part of it."""

        def predict_from(first: int) -> list[list[Outcome]]:
            if ahead:
                fault, self.kafka.fault = self.kafka.fault, "none"
                self.deliver(job, tp, 1 - who, offsets[:ahead])
                self.kafka.fault = fault
            return self.predict(tp, offsets[first:])

        job.workers[who].deliver(tp, offsets, predict_from)

    @rule(
        tp=st.sampled_from(PARTITIONS),
        who=st.integers(0, 1),
        to=st.none() | st.integers(0, 30),
    )
    def offset_is_changed(self, tp: TopicPartition, who: int, to: int | None) -> None:
        """Somebody sets or deletes the group's offset: a worker stops and overwrites nothing.

        Afterwards they restore it.
        """
        if self.planned is None or tp in self.job.done:
            return
        before = self.kafka.committed.pop(tp)
        pending = [offset for offset in self.planned[tp] if offset >= before.offset]
        outcomes = list(self.kafka.outcomes[tp])
        if to is not None:
            self.kafka.committed[tp] = CommittedOffset(to)
        changed = self.kafka.committed.get(tp)
        if pending:
            with pytest.raises((GroupOffsetsChanged, GroupOffsetLost)):
                self.deliver(self.job, tp, who, pending)
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

    @rule(who=st.integers(0, 1))
    def worker_is_killed(self, who: int) -> None:
        """A worker dies between two tasks."""
        self.job.workers[who] = self.job.worker()

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
                    self.run_task(self.job, tp, 0, 3, ("none", 0))
            self.commit()
        for tp in PARTITIONS:
            assert self.kafka.outcomes[tp] == [*chain(*self.predict(tp, self.inputs[tp]))]
            assert not [o for o in self.inputs[tp] if o >= self.kafka.committed[tp].offset]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)


def predict_offsets(offsets: list[int]) -> Callable[[int], list[list[Outcome]]]:
    """Return a `predict_from` with one outcome for each message."""
    return lambda first: [[(offset, 0)] for offset in offsets[first:]]


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
            owner.deliver(tp, offsets, predict_offsets(offsets))
        assert kafka.epochs[tp] == 3
        assert kafka.refused == 0
        assert [offset for offset, _ in kafka.outcomes[tp]] == [0, 1, 2, 3]

    def test_max_writers(self) -> None:
        """A partition keeps its writer until the owner has too many and closes the oldest."""
        kafka = Kafka()
        owner = self.owner(kafka, max_writers=1)
        first, second = PARTITIONS
        for tp, offsets in ((first, [0]), (first, [1]), (second, [0]), (first, [2])):
            owner.deliver(tp, offsets, predict_offsets(offsets))
        assert kafka.epochs == {first: 2, second: 1}
        assert [offset for offset, _ in kafka.outcomes[first]] == [0, 1, 2]

    def test_committed_messages_are_not_predicted(self) -> None:
        """The model sees only messages that are not committed yet."""
        kafka = Kafka(committed={PARTITIONS[0]: CommittedOffset(2)})
        predicted: list[int] = []

        def predict_from(first: int) -> list[list[Outcome]]:
            predicted.append(first)
            return predict_offsets([0, 1, 2, 3])(first)

        owner = self.owner(kafka)
        assert owner.deliver(PARTITIONS[0], [0, 1], predict_from) == []
        assert owner.deliver(PARTITIONS[0], [0, 1, 2, 3], predict_from) == [(2, 0), (3, 0)]
        assert predicted == [2]

    def test_committed_in_part(self) -> None:
        """If a batch is committed in part, the other messages follow, with all their outcomes."""
        kafka = Kafka()
        owner, other = self.owner(kafka), self.owner(kafka)
        tp = PARTITIONS[0]
        outcomes: list[list[Outcome]] = [[(0, 0), (0, 1), (0, 2)], [], [(2, 0), (2, 1)], []]

        def predict_from(first: int) -> list[list[Outcome]]:
            other.deliver(tp, [0, 1], lambda first: outcomes[first:2])  # fences the owner
            return outcomes[first:]

        assert owner.deliver(tp, [0, 1, 2, 3], predict_from) == outcomes[2]
        assert kafka.outcomes[tp] == [*chain(*outcomes)]
        assert kafka.committed[tp].offset == 4

    def test_no_outcomes(self) -> None:
        """The offset of messages without any outcome is committed too."""
        kafka = Kafka()
        owner = self.owner(kafka)
        assert owner.deliver(PARTITIONS[0], [0, 1], lambda _: [[], []]) == []
        assert kafka.committed[PARTITIONS[0]].offset == 2

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_wrong_number_of_outcomes(self, count: int) -> None:
        """Nothing is committed if there is not one list of outcomes for each message."""
        kafka = Kafka()
        owner = self.owner(kafka)
        with pytest.raises(ValueError, match=f"{count} outcomes for 2 messages"):
            owner.deliver(PARTITIONS[0], [0, 1], lambda _: [[]] * count)
        assert PARTITIONS[0] not in kafka.committed

    @pytest.mark.parametrize("to", [0, 1, 3, 9])
    def test_changed_offset(self, to: int) -> None:
        """If somebody sets the offset between two batches, nothing is written, and it stays."""
        kafka = Kafka()
        owner = self.owner(kafka)
        tp = PARTITIONS[0]
        owner.deliver(tp, [0, 1, 2], predict_offsets([0, 1, 2]))
        kafka.committed[tp] = CommittedOffset(to)
        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            owner.deliver(tp, [3, 4], predict_offsets([3, 4]))
        assert kafka.committed[tp] == CommittedOffset(to)
        assert [offset for offset, _ in kafka.outcomes[tp]] == [0, 1, 2]

    def test_changed_during_prediction(self) -> None:
        """The check runs just before the commit, however long the prediction took."""
        kafka = Kafka()
        owner = self.owner(kafka)
        tp = PARTITIONS[0]
        owner.deliver(tp, [0], predict_offsets([0]))

        def predict_from(first: int) -> list[list[Outcome]]:
            kafka.committed[tp] = CommittedOffset(0)
            return predict_offsets([1, 2])(first)

        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            owner.deliver(tp, [1, 2], predict_from)
        assert [offset for offset, _ in kafka.outcomes[tp]] == [0]

    def test_offset_moved_back(self) -> None:
        """If the offset moved back, nothing is written, because it would be written twice."""
        kafka = Kafka()
        owner = self.owner(kafka)
        owner.deliver(PARTITIONS[0], [0, 1, 2], predict_offsets([0, 1, 2]))
        kafka.committed[PARTITIONS[0]] = CommittedOffset(1, RunEpoch(1, "id"), TOPIC_ID)
        with pytest.raises(GroupOffsetsChanged, match="in/0"):
            owner.deliver(PARTITIONS[0], [2, 3, 4], predict_offsets([2, 3, 4]))
        assert [offset for offset, _ in kafka.outcomes[PARTITIONS[0]]] == [0, 1, 2]
