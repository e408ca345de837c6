"""Where a start resumes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.errors import (
    DataLoss,
    DeliveryModeChanged,
    GroupBehindCheckpoint,
    GroupOffsetLost,
    GroupOffsetsChanged,
    TopicRecreated,
)
from tidemill.kafka.lag import PartitionLag
from tidemill.settings import StreamSettings
from tidemill.streaming.checkpoint.offset_log import OffsetLog
from tidemill.streaming.checkpoint.topic_record import TopicRecord
from tidemill.streaming.exactly_once.position import CommittedOffset, RunEpoch
from tidemill.streaming.exactly_once.resume import resume_offsets
from tidemill.streaming.start_state import StartState

AT = ("in", 0)
OURS = CommittedOffset(50, RunEpoch(3, "id"), "topic-id")
ONCE = StreamSettings(delivery="exactly-once")
AT_LEAST = StreamSettings()
NEW = StartState([PartitionLag("in", 0, 10, 100, None)], {}, {"in": "topic-id"})


def log(offset: int) -> OffsetLog:
    """Return the offset log of a checkpoint that resumes at an offset."""
    return OffsetLog(0, {AT: offset}, {AT: offset}, "offsets/0", "offsets/0")


USED = replace(NEW, committed={AT: OURS}, offset_log=log(50))


def full(*_: object) -> bool:
    """Pretend that every offset has a record."""
    return True


def empty(*_: object) -> bool:
    """Pretend that no offset has a record."""
    return False


class TestNewCheckpoint:
    """A job with a new checkpoint starts at the group's offsets, if there are any."""

    @pytest.mark.parametrize(
        ("setting", "start"),
        [
            ("earliest", 10),
            ("latest", 100),
            ('{"in": {"0": 42}}', 42),
            ('{"in": {"0": -2}}', 10),
            ('{"in": {"0": -1}}', 100),
            ("{}", 10),
        ],
    )
    def test_without_a_group(self, setting: str, start: int) -> None:
        """Without group offsets the setting counts."""
        for settings in (ONCE, AT_LEAST):
            stream = settings.model_copy(update={"starting_offsets": setting})
            assert resume_offsets(NEW, stream, full) == {AT: start}

    def test_with_a_group(self) -> None:
        """Exactly-once uses any offset; at-least-once only one that exactly-once committed."""
        for committed, at_least in ((OURS, 50), (CommittedOffset(50), 10)):
            state = replace(NEW, committed={AT: committed})
            assert resume_offsets(state, ONCE, full) == {AT: 50}
            assert resume_offsets(state, AT_LEAST, full) == {AT: at_least}

    def test_deleted_messages(self) -> None:
        """Unprocessed messages that Kafka deleted are a loss, unless losses are accepted."""
        state = replace(NEW, committed={AT: replace(OURS, offset=5)})
        with pytest.raises(DataLoss):
            resume_offsets(state, ONCE, full)
        accepting = ONCE.model_copy(update={"fail_on_data_loss": False})
        assert resume_offsets(state, accepting, full) == {AT: 5}


class TestUsedCheckpoint:
    """A used checkpoint must be consistent with the group."""

    def test_consistent(self) -> None:
        """The group may be ahead, or behind by offsets without records."""
        assert resume_offsets(USED, ONCE, full) == {AT: 50}
        assert resume_offsets(replace(USED, offset_log=log(40)), ONCE, full) == {AT: 50}
        assert resume_offsets(replace(USED, offset_log=log(51)), ONCE, empty) == {AT: 50}

    def test_ahead_of_the_group(self) -> None:
        """The messages in between would never be processed."""
        with pytest.raises(GroupBehindCheckpoint, match=r"group is at offset 50 of in/0.* at 51"):
            resume_offsets(replace(USED, offset_log=log(51)), ONCE, full)

    def test_searched_range(self) -> None:
        """Search for records from the group's or the first offset up to the checkpoint's."""
        searched: list[object] = []

        def has_record(*arguments: object) -> bool:
            searched.append(arguments)
            return False

        behind = replace(USED, committed={AT: replace(OURS, offset=5)}, offset_log=log(60))
        resume_offsets(behind, ONCE, has_record)
        resume_offsets(replace(USED, offset_log=log(60)), ONCE, has_record)
        assert searched == [(AT, 10, 60), (AT, 50, 60)]

    def test_other_delivery_mode(self) -> None:
        """A checkpoint of the other delivery mode is refused, whichever that is."""
        with pytest.raises(DeliveryModeChanged, match="exactly-once"):
            resume_offsets(replace(USED, committed={AT: CommittedOffset(50)}), ONCE, full)
        with pytest.raises(DeliveryModeChanged, match="at-least-once"):
            resume_offsets(USED, AT_LEAST, full)

    def test_offset_set_by_hand(self) -> None:
        """An offset that no run committed is refused."""
        two = replace(
            USED,
            partitions=[*USED.partitions, PartitionLag("in", 1, 0, 9, None)],
            committed={AT: OURS, ("in", 1): CommittedOffset(3)},
        )
        with pytest.raises(GroupOffsetsChanged, match=r"in/1 \(3\)"):
            resume_offsets(two, ONCE, full)

    def test_deleted_offset(self) -> None:
        """A deleted offset is refused if there are records that may have been processed."""
        gone = replace(USED, committed={})
        with pytest.raises(GroupOffsetLost, match="in/0"):
            resume_offsets(gone, ONCE, full)
        assert resume_offsets(gone, ONCE, empty) == {AT: 50}

    def test_added_partition(self) -> None:
        """A new partition starts at its first record."""
        added = replace(USED, partitions=[*USED.partitions, PartitionLag("in", 1, 2, 9, None)])
        assert resume_offsets(added, ONCE, full) == {AT: 50, ("in", 1): 2}


class TestRecreatedTopic:
    """Offsets of the old topic are meaningless for the new one."""

    def test_by_id(self) -> None:
        """The topic's id shows it, with and without a checkpoint."""
        for state in (USED, replace(USED, offset_log=OffsetLog())):
            with pytest.raises(TopicRecreated, match="topic in "):
                resume_offsets(replace(state, topic_ids={"in": "other"}), ONCE, full)

    def test_by_end(self) -> None:
        """An offset beyond the end cannot refer to this topic."""
        for state in (
            replace(NEW, committed={AT: CommittedOffset(101)}),
            replace(USED, committed={}, offset_log=log(101)),
        ):
            with pytest.raises(TopicRecreated):
                resume_offsets(state, ONCE, full)
        with pytest.raises(TopicRecreated):
            resume_offsets(replace(USED, committed={}, offset_log=log(101)), AT_LEAST, full)
        # If the topic is known to be the same, Spark reports the loss.
        same = TopicRecord({"in": "topic-id"})
        state = replace(USED, committed={}, offset_log=log(101), topic_record=same)
        assert resume_offsets(state, AT_LEAST, full) == {AT: 101}
