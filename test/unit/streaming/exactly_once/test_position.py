"""What a commit of the group carries, and who may go on from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import (
    GroupOffsetLost,
    GroupOffsetsChanged,
    Superseded,
    TopicDeleted,
    TopicRecreated,
    TransactionFailed,
)
from tidemill.streaming.exactly_once.position import Position, Run, decode, encode, resume, verify

AT = ("in", 3)
RUN = Run(7, "me")
TOPIC = "a-topic-id"


class TestMetadata:
    """What this job wrote is read back; what others wrote is nobody's run."""

    @given(st.integers(0), st.integers(1), st.text(), st.text())
    def test_there_and_back(self, offset: int, number: int, name: str, topic: str) -> None:
        """Run and topic come back as they were."""
        run = Run(number, name)
        assert decode(offset, encode(run, topic)) == Position(offset, run, topic)

    @given(st.none() | st.text() | st.sampled_from(["{}", '{"tidemill": 1}', "[]", "null", "7"]))
    def test_of_others(self, metadata: str | None) -> None:
        """Any other text has an offset, and no run."""
        assert decode(5, metadata) == Position(5)


class TestResume:
    """A new owner goes on where the group says, if it is the one to go on."""

    def test_its_own_offset(self) -> None:
        """Of this run, or of one before it."""
        for run in (RUN, Run(6, "z"), Run(7, "a")):
            assert resume(AT, Position(42, run, TOPIC), RUN, TOPIC, TOPIC) == 42

    def test_a_later_run(self) -> None:
        """Has taken over; so has one of two that started at once."""
        for run in (Run(8, "a"), Run(7, "zz")):
            with pytest.raises(Superseded):
                resume(AT, Position(42, run, TOPIC), RUN, TOPIC, TOPIC)

    def test_another_topic(self) -> None:
        """Of the same name: its messages are not those that the offset counts."""
        with pytest.raises(TopicRecreated, match="topic in "):
            resume(AT, Position(42, RUN, TOPIC), RUN, "another", None)

    def test_another_topic_without_an_offset(self) -> None:
        """With a topic Kafka forgets its offsets; that it was another is what there is to say."""
        with pytest.raises(TopicRecreated):
            resume(AT, None, RUN, "another", TOPIC)

    def test_a_topic_that_is_gone(self) -> None:
        """It is not taken for one that was made anew."""
        for position in (None, Position(42, RUN, TOPIC)):
            with pytest.raises(TopicDeleted):
                resume(AT, position, RUN, "", TOPIC)

    def test_set_by_something_else(self) -> None:
        """An offset without a run is not this job's."""
        with pytest.raises(GroupOffsetsChanged, match=r"in/3 \(42\)"):
            resume(AT, Position(42), RUN, TOPIC, None)

    def test_none(self) -> None:
        """A new partition has none; one that was there at the start has lost it."""
        assert resume(AT, None, RUN, TOPIC, None) == 0
        with pytest.raises(GroupOffsetLost, match="in/3"):
            resume(AT, None, RUN, TOPIC, TOPIC)


class TestVerify:
    """An owner commits only if the group still says what this owner left there."""

    LEFT = Position(42, RUN, TOPIC)

    def test_unchanged(self) -> None:
        """An offset that is its own, or none in a new partition."""
        verify(AT, self.LEFT, self.LEFT, RUN)
        verify(AT, None, None, RUN)

    @pytest.mark.parametrize("offset", [0, 42, 50])
    def test_set_by_something_else(self, offset: int) -> None:
        """Further, back, or to the same: it carries no run."""
        with pytest.raises(GroupOffsetsChanged, match=rf"in/3 \({offset}\)"):
            verify(AT, Position(offset), self.LEFT, RUN)
        with pytest.raises(GroupOffsetsChanged):
            verify(AT, Position(offset), None, RUN)

    def test_deleted(self) -> None:
        """Nobody knows any more what was answered."""
        with pytest.raises(GroupOffsetLost):
            verify(AT, None, self.LEFT, RUN)

    def test_a_later_run(self) -> None:
        """Has taken over."""
        with pytest.raises(Superseded):
            verify(AT, Position(42, Run(8, "a"), TOPIC), self.LEFT, RUN)

    def test_another_worker(self) -> None:
        """Of the same run has gone on: this owner looks again before it goes on."""
        for left in (self.LEFT, None):
            with pytest.raises(TransactionFailed):
                verify(AT, Position(50, RUN, TOPIC), left, RUN)
