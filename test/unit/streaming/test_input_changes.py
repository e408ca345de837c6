"""Partitions join or leave the inputs of a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InputTopicRemoved, TopicRecreated
from tidemill.kafka.lag import PartitionLag
from tidemill.streaming.checkpoint.offset_log import OffsetLog
from tidemill.streaming.checkpoint.topic_record import TopicRecord
from tidemill.streaming.exactly_once.position import CommittedOffset, RunEpoch
from tidemill.streaming.input_changes import InputChanges, compare
from tidemill.streaming.start_state import StartState

A, B = ("a", 0), ("b", 0)
FILES = ("offsets/1", "offsets/2")
IDS = {"a": "id-a", "b": "id-b"}
# Of two topics, both fully processed, only `a` is still an input.
STATE = StartState(
    [PartitionLag("a", 0, 0, 9, None)],
    {},
    IDS,
    OffsetLog(1, {A: 5, B: 7}, {A: 9, B: 7}, *FILES),
    TopicRecord(IDS),
)
GONE = replace(STATE, topic_ids={"a": "id-a"})


def full(*_: object) -> bool:
    """Pretend that every offset has a record."""
    return True


def empty(*_: object) -> bool:
    """Pretend that no offset has a record."""
    return False


class TestRemoved:
    """A partition of the checkpoint is no longer an input."""

    @pytest.mark.parametrize("state", [STATE, GONE], ids=["exists", "deleted"])
    def test_processed(self, state: StartState) -> None:
        """If it is fully processed, the checkpoint drops it."""
        changes = compare(state, accept_loss=False, has_record=empty)
        assert changes == InputChanges({A: 5}, {A: 9}, {B: 7}, frozenset())

    def test_unprocessed(self) -> None:
        """If the topic has more messages, the error names the first one and the remedy."""
        with pytest.raises(
            InputTopicRemoved, match=r"(?s)topic b is no longer.* from 7 on.*Put it back"
        ):
            compare(STATE, accept_loss=False, has_record=full)

    def test_searched_range(self) -> None:
        """Search for records from the first unprocessed offset on."""
        searched: list[tuple[object, ...]] = []

        def has_record(*arguments: object) -> bool:
            searched.append(arguments)
            return False

        compare(STATE, accept_loss=False, has_record=has_record)
        committed = CommittedOffset(12, RunEpoch(1, "r"), "id-b")
        compare(replace(STATE, committed={B: committed}), accept_loss=False, has_record=has_record)
        assert [arguments[:2] for arguments in searched] == [(B, 7), (B, 12)]

    @pytest.mark.parametrize(
        "state",
        [
            replace(GONE, offset_log=replace(GONE.offset_log, planned={A: 9, B: 8})),
            replace(GONE, topic_record=TopicRecord(IDS, frozenset({"b"}))),
            replace(STATE, topic_record=TopicRecord(IDS | {"b": "old"}, frozenset({"b"}))),
        ],
        ids=["planned", "behind", "behind and recreated"],
    )
    def test_deleted_unprocessed(self, state: StartState) -> None:
        """For a deleted topic, Spark's plan and the last run's topic record count."""
        with pytest.raises(InputTopicRemoved, match=r"(?s)topic b was deleted.* are lost with it"):
            compare(state, accept_loss=False, has_record=empty)

    def test_deleted_after_spark_noticed(self) -> None:
        """The plan no longer contains the partition, but the start does."""
        log = replace(GONE.offset_log, planned={A: 9})
        changes = compare(replace(GONE, offset_log=log), accept_loss=False, has_record=full)
        assert changes == InputChanges({A: 5}, {A: 9}, {B: 7}, frozenset())

    def test_accepted_loss(self) -> None:
        """If losses are accepted, the partition is reported as given up."""
        changes = compare(STATE, accept_loss=True, has_record=full)
        assert changes == InputChanges({A: 5}, {A: 9}, {B: 7}, frozenset({B}))


class TestRecreated:
    """A topic of the checkpoint was deleted and created again."""

    def test_input(self) -> None:
        """A recreated input is refused."""
        for ids in ({"a": "new"}, {"a": "new", "b": "id-b"}):
            with pytest.raises(TopicRecreated, match="topic a "):
                compare(replace(STATE, topic_ids=ids), accept_loss=True, has_record=empty)

    def test_fewer_partitions(self) -> None:
        """Topics never lose partitions, so one with fewer was recreated."""
        state = replace(STATE, shrunk=frozenset({"a"}), topic_record=TopicRecord())
        with pytest.raises(TopicRecreated, match="topic a "):
            compare(state, accept_loss=True, has_record=empty)

    def test_removed(self) -> None:
        """The old topic was processed; the job does not read the new one."""
        state = replace(STATE, topic_ids=IDS | {"b": "new"})
        changes = compare(state, accept_loss=False, has_record=full)
        assert changes.removed == {B: 7}

    def test_unknown(self) -> None:
        """A checkpoint without a topic record is not refused."""
        state = replace(STATE, topic_record=TopicRecord())
        assert compare(state, accept_loss=False, has_record=empty).start == {A: 5}


class TestAdded:
    """The checkpoint lacks a partition of an input."""

    def with_b(self, begin: int, log: OffsetLog) -> InputChanges:
        """Compare a checkpoint when `b` is also an input."""
        partitions = [*STATE.partitions, PartitionLag("b", 0, begin, 99, None)]
        state = replace(STATE, partitions=partitions, offset_log=log)
        return compare(state, accept_loss=False, has_record=full)

    def test_first_message(self) -> None:
        """Spark starts at offset 0 by itself, and treats any other start as data loss."""
        log = OffsetLog(1, {A: 5}, {A: 9}, *FILES)
        assert self.with_b(0, log) == InputChanges({A: 5}, {A: 9}, {}, frozenset())
        assert self.with_b(30, log) == InputChanges({A: 5, B: 30}, {A: 9, B: 30}, {}, frozenset())

    def test_planned_already(self) -> None:
        """Spark's plan for it stays, unless retention has deleted those messages."""
        log = OffsetLog(1, {A: 5}, {A: 9, B: 40}, *FILES)
        assert self.with_b(30, log).planned == {A: 9, B: 40}
        assert self.with_b(50, log).planned == {A: 9, B: 50}

    @pytest.mark.parametrize(
        ("topic_id", "first"), [("id-b", 7), ("new", 0)], ids=["same topic", "recreated"]
    )
    def test_returning_topic(self, topic_id: str, first: int) -> None:
        """A returning topic resumes where it was; a recreated topic starts from the beginning."""
        state = replace(
            STATE,
            partitions=[*STATE.partitions, PartitionLag("b", 0, 0, 99, None)],
            topic_ids=IDS | {"b": topic_id},
            offset_log=OffsetLog(1, {A: 5}, {A: 9}, *FILES),
            topic_record=TopicRecord(IDS, left={B: 7}),
        )
        changes = compare(state, accept_loss=False, has_record=full)
        assert changes.start == {A: 5} | ({B: first} if first else {})

    def test_new_checkpoint(self) -> None:
        """A new checkpoint needs no change."""
        assert self.with_b(30, OffsetLog()) == InputChanges({}, {}, {}, frozenset())


PARTITIONS = st.tuples(st.sampled_from("abc"), st.integers(0, 1))
OFFSETS = st.dictionaries(PARTITIONS, st.integers(0, 20))


class TestAny:
    """Whatever partitions come and go, Spark can resume from the checkpoint."""

    @given(start=OFFSETS, more=OFFSETS, inputs=st.dictionaries(PARTITIONS, st.integers(0, 9)))
    def test_spark_resumes(
        self,
        start: dict[tuple[str, int], int],
        more: dict[tuple[str, int], int],
        inputs: dict[tuple[str, int], int],
    ) -> None:
        """It contains only inputs, and all that begin after 0, and no offset moves back."""
        planned = start | {at: start.get(at, 0) + n for at, n in more.items()}
        state = StartState(
            [PartitionLag(*at, begin, 99, None) for at, begin in inputs.items()],
            {},
            {topic: topic for topic in "abc"},
            OffsetLog(1, start, planned, *FILES),
        )
        changes = compare(state, accept_loss=True, has_record=empty)
        assert changes.start.keys() <= inputs.keys()
        assert changes.start.keys() <= changes.planned.keys() <= inputs.keys()
        assert all(at in changes.start for at, begin in inputs.items() if begin)
        assert {at: changes.start[at] for at in start if at in inputs} == {
            at: offset for at, offset in start.items() if at in inputs
        }
        assert all(changes.planned[at] >= changes.start[at] for at in changes.start)
