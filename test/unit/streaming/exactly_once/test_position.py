"""The metadata of a committed offset, and the checks on it."""

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
from tidemill.streaming.exactly_once.position import (
    CommittedOffset,
    RunEpoch,
    decode,
    encode,
    resume,
    verify,
)

AT = ("in", 3)
RUN = RunEpoch(7, "me")
TOPIC = "a-topic-id"


class TestMetadata:
    """Metadata of this job is parsed; commits of other programs have no run."""

    @given(st.integers(0), st.integers(1), st.text(), st.text())
    def test_round_trip(self, offset: int, number: int, name: str, topic: str) -> None:
        """Decoding returns the encoded run and topic."""
        run = RunEpoch(number, name)
        assert decode(offset, encode(run, topic)) == CommittedOffset(offset, run, topic)

    @given(st.none() | st.text() | st.sampled_from(["{}", '{"tidemill": 1}', "[]", "null", "7"]))
    def test_other_programs(self, metadata: str | None) -> None:
        """With any other metadata only the offset is known."""
        assert decode(5, metadata) == CommittedOffset(5)


class TestResume:
    """A new owner resumes at the group's offset, if it is entitled to."""

    def test_own_offset(self) -> None:
        """It resumes at an offset of its own run, or of an earlier one."""
        for run in (RUN, RunEpoch(6, "z"), RunEpoch(7, "a")):
            assert resume(AT, CommittedOffset(42, run, TOPIC), RUN, TOPIC, TOPIC) == 42

    def test_later_run(self) -> None:
        """A later run supersedes it, and so does one of two that started at the same time."""
        for run in (RunEpoch(8, "a"), RunEpoch(7, "zz")):
            with pytest.raises(Superseded):
                resume(AT, CommittedOffset(42, run, TOPIC), RUN, TOPIC, TOPIC)

    def test_recreated_topic(self) -> None:
        """The offset does not refer to a new topic of the same name."""
        with pytest.raises(TopicRecreated, match="topic in "):
            resume(AT, CommittedOffset(42, RUN, TOPIC), RUN, "another", None)

    def test_recreated_topic_without_an_offset(self) -> None:
        """Kafka deletes offsets together with their topic: report the topic, not the offset."""
        with pytest.raises(TopicRecreated):
            resume(AT, None, RUN, "another", TOPIC)

    def test_deleted_topic(self) -> None:
        """A deleted topic is not reported as recreated."""
        for committed in (None, CommittedOffset(42, RUN, TOPIC)):
            with pytest.raises(TopicDeleted):
                resume(AT, committed, RUN, "", TOPIC)

    def test_set_by_another_program(self) -> None:
        """An offset without a run was not committed by this job."""
        with pytest.raises(GroupOffsetsChanged, match=r"in/3 \(42\)"):
            resume(AT, CommittedOffset(42), RUN, TOPIC, None)

    def test_no_offset(self) -> None:
        """A new partition starts at 0; one that existed at the start has lost its offset."""
        assert resume(AT, None, RUN, TOPIC, None) == 0
        with pytest.raises(GroupOffsetLost, match="in/3"):
            resume(AT, None, RUN, TOPIC, TOPIC)


class TestVerify:
    """An owner commits only if nobody changed the group's offset."""

    EXPECTED = CommittedOffset(42, RUN, TOPIC)

    def test_unchanged(self) -> None:
        """The group has the expected offset, or none in a new partition."""
        verify(AT, self.EXPECTED, self.EXPECTED, RUN)
        verify(AT, None, None, RUN)

    @pytest.mark.parametrize("offset", [0, 42, 50])
    def test_set_by_another_program(self, offset: int) -> None:
        """Any offset without a run is refused, even the same number."""
        with pytest.raises(GroupOffsetsChanged, match=rf"in/3 \({offset}\)"):
            verify(AT, CommittedOffset(offset), self.EXPECTED, RUN)
        with pytest.raises(GroupOffsetsChanged):
            verify(AT, CommittedOffset(offset), None, RUN)

    def test_deleted(self) -> None:
        """Without an offset nobody knows what was processed."""
        with pytest.raises(GroupOffsetLost):
            verify(AT, None, self.EXPECTED, RUN)

    def test_later_run(self) -> None:
        """A later run supersedes this one."""
        with pytest.raises(Superseded):
            verify(AT, CommittedOffset(42, RunEpoch(8, "a"), TOPIC), self.EXPECTED, RUN)

    def test_another_worker(self) -> None:
        """If another worker of this run committed, the owner must take over again."""
        for expected in (self.EXPECTED, None):
            with pytest.raises(TransactionFailed):
                verify(AT, CommittedOffset(50, RUN, TOPIC), expected, RUN)
