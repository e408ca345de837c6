"""Partitions that join or leave the inputs of a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InputTopicRemoved, TopicRecreated
from tidemill.kafka.lag import PartitionLag
from tidemill.streaming.checkpoint.offset_log import OffsetLog
from tidemill.streaming.checkpoint.topic_record import TopicRecord
from tidemill.streaming.exactly_once.position import Position, Run
from tidemill.streaming.exactly_once.resume import Found
from tidemill.streaming.input_changes import InputChanges, compare

A, B = ("a", 0), ("b", 0)
FILES = ("offsets/1", "offsets/2")
IDS = {"a": "id-a", "b": "id-b"}
# Of two topics, both fully answered, only `a` is still an input.
FOUND = Found(
    [PartitionLag("a", 0, 0, 9, None)],
    {},
    IDS,
    OffsetLog(1, {A: 5, B: 7}, {A: 9, B: 7}, *FILES),
    TopicRecord(IDS),
)
GONE = replace(FOUND, topic_ids={"a": "id-a"})


def full(*_: object) -> bool:
    """Have a record at each offset."""
    return True


def empty(*_: object) -> bool:
    """Have none."""
    return False


class TestRemoved:
    """A partition of the checkpoint is no longer an input."""

    @pytest.mark.parametrize("found", [FOUND, GONE], ids=["there", "deleted"])
    def test_answered(self, found: Found) -> None:
        """If it is fully answered, the checkpoint goes on without it."""
        changes = compare(found, accept_loss=False, has_record=empty)
        assert changes == InputChanges({A: 5}, {A: 9}, {B: 7}, frozenset())

    def test_unanswered(self) -> None:
        """If the topic has more messages, the error names the first, and how to go on."""
        with pytest.raises(
            InputTopicRemoved, match=r"(?s)topic b is no longer.* from 7 on.*Put it back"
        ):
            compare(FOUND, accept_loss=False, has_record=full)

    def test_what_is_looked_at(self) -> None:
        """All records from the first unanswered one on."""
        asked: list[tuple[object, ...]] = []

        def look(*between: object) -> bool:
            asked.append(between)
            return False

        compare(FOUND, accept_loss=False, has_record=look)
        run = Position(12, Run(1, "r"), "id-b")
        compare(replace(FOUND, positions={B: run}), accept_loss=False, has_record=look)
        assert [between[:2] for between in asked] == [(B, 7), (B, 12)]

    @pytest.mark.parametrize(
        "found",
        [
            replace(GONE, log=replace(GONE.log, planned={A: 9, B: 8})),
            replace(GONE, record=TopicRecord(IDS, frozenset({"b"}))),
            replace(FOUND, record=TopicRecord(IDS | {"b": "old"}, frozenset({"b"}))),
        ],
        ids=["planned", "behind", "behind, and made anew"],
    )
    def test_deleted_unanswered(self, found: Found) -> None:
        """Of a topic that is gone, what Spark had planned and the last run had seen counts."""
        with pytest.raises(InputTopicRemoved, match=r"(?s)topic b was deleted.* are lost with it"):
            compare(found, accept_loss=False, has_record=empty)

    def test_deleted_after_spark_noticed(self) -> None:
        """The plan lacks it already, the start does not."""
        log = replace(GONE.log, planned={A: 9})
        changes = compare(replace(GONE, log=log), accept_loss=False, has_record=full)
        assert changes == InputChanges({A: 5}, {A: 9}, {B: 7}, frozenset())

    def test_accepted_loss(self) -> None:
        """If losses are accepted, it is told apart from what was answered."""
        changes = compare(FOUND, accept_loss=True, has_record=full)
        assert changes == InputChanges({A: 5}, {A: 9}, {B: 7}, frozenset({B}))


class TestRecreated:
    """A topic of the checkpoint is another one now."""

    def test_input(self) -> None:
        """An input is never taken for the old one."""
        for ids in ({"a": "new"}, {"a": "new", "b": "id-b"}):
            with pytest.raises(TopicRecreated, match="topic a "):
                compare(replace(FOUND, topic_ids=ids), accept_loss=True, has_record=empty)

    def test_fewer_partitions(self) -> None:
        """A topic never loses partitions: with fewer it is another one, whatever else is known."""
        found = replace(FOUND, shrunk=frozenset({"a"}), record=TopicRecord())
        with pytest.raises(TopicRecreated, match="topic a "):
            compare(found, accept_loss=True, has_record=empty)

    def test_no_input_any_more(self) -> None:
        """The old one was answered; the new one's messages are none of the job's."""
        found = replace(FOUND, topic_ids=IDS | {"b": "new"})
        changes = compare(found, accept_loss=False, has_record=full)
        assert changes.removed == {B: 7}

    def test_unknown(self) -> None:
        """A checkpoint of before there were records is not refused."""
        found = replace(FOUND, record=TopicRecord())
        assert compare(found, accept_loss=False, has_record=empty).start == {A: 5}


class TestAdded:
    """A partition is an input that the checkpoint does not know."""

    def with_b(self, begin: int, log: OffsetLog) -> InputChanges:
        """Compare a checkpoint with two inputs."""
        partitions = [*FOUND.partitions, PartitionLag("b", 0, begin, 99, None)]
        found = replace(FOUND, partitions=partitions, log=log)
        return compare(found, accept_loss=False, has_record=full)

    def test_from_its_first_message(self) -> None:
        """Spark begins at offset 0 by itself, and takes any other beginning for a loss."""
        log = OffsetLog(1, {A: 5}, {A: 9}, *FILES)
        assert self.with_b(0, log) == InputChanges({A: 5}, {A: 9}, {}, frozenset())
        assert self.with_b(30, log) == InputChanges({A: 5, B: 30}, {A: 9, B: 30}, {}, frozenset())

    def test_planned_already(self) -> None:
        """Spark's plan for it stays, unless retention has passed it."""
        log = OffsetLog(1, {A: 5}, {A: 9, B: 40}, *FILES)
        assert self.with_b(30, log).planned == {A: 9, B: 40}
        assert self.with_b(50, log).planned == {A: 9, B: 50}

    @pytest.mark.parametrize(
        ("topic_id", "first"), [("id-b", 7), ("new", 0)], ids=["the same", "another of its name"]
    )
    def test_that_comes_back(self, topic_id: str, first: int) -> None:
        """A topic that left is not answered again; another one of its name is, from its start."""
        found = replace(
            FOUND,
            partitions=[*FOUND.partitions, PartitionLag("b", 0, 0, 99, None)],
            topic_ids=IDS | {"b": topic_id},
            log=OffsetLog(1, {A: 5}, {A: 9}, *FILES),
            record=TopicRecord(IDS, left={B: 7}),
        )
        changes = compare(found, accept_loss=False, has_record=full)
        assert changes.start == {A: 5} | ({B: first} if first else {})

    def test_a_new_checkpoint(self) -> None:
        """It has nothing to be made to fit."""
        assert self.with_b(30, OffsetLog()) == InputChanges({}, {}, {}, frozenset())


PARTITIONS = st.tuples(st.sampled_from("abc"), st.integers(0, 1))
OFFSETS = st.dictionaries(PARTITIONS, st.integers(0, 20))


class TestAny:
    """Whatever comes and goes, Spark finds a checkpoint that it goes on with."""

    @given(start=OFFSETS, more=OFFSETS, inputs=st.dictionaries(PARTITIONS, st.integers(0, 9)))
    def test_spark_goes_on(
        self,
        start: dict[tuple[str, int], int],
        more: dict[tuple[str, int], int],
        inputs: dict[tuple[str, int], int],
    ) -> None:
        """It has no partition but inputs, misses none that begins late, and repeats nothing."""
        planned = start | {at: start.get(at, 0) + n for at, n in more.items()}
        found = Found(
            [PartitionLag(*at, begin, 99, None) for at, begin in inputs.items()],
            {},
            {topic: topic for topic in "abc"},
            OffsetLog(1, start, planned, *FILES),
        )
        changes = compare(found, accept_loss=True, has_record=empty)
        assert changes.start.keys() <= inputs.keys()
        assert changes.start.keys() <= changes.planned.keys() <= inputs.keys()
        assert all(at in changes.start for at, begin in inputs.items() if begin)
        assert {at: changes.start[at] for at in start if at in inputs} == {
            at: offset for at, offset in start.items() if at in inputs
        }
        assert all(changes.planned[at] >= changes.start[at] for at in changes.start)
