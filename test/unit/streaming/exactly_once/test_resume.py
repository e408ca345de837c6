"""Where a start resumes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
from tidemill.streaming import at_least_once
from tidemill.streaming.checkpoint.offset_log import OffsetLog
from tidemill.streaming.checkpoint.topic_record import TopicRecord
from tidemill.streaming.exactly_once.position import CommittedOffset, RunEpoch
from tidemill.streaming.exactly_once.resume import group_offsets
from tidemill.streaming.start_state import StartState
from tidemill.streaming.starting_offsets import resume

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.streaming.progress import Offsets

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


def once(
    state: StartState, has_record: Callable[..., bool], stream: StreamSettings = ONCE
) -> Offsets:
    """Return where an exactly-once job resumes."""
    return resume(state, stream, group_offsets(state, stream, has_record))


def at_least(state: StartState, stream: StreamSettings = AT_LEAST) -> Offsets:
    """Return where an at-least-once job resumes."""
    return resume(state, stream, at_least_once.group_offsets(state, stream))


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
        change = {"starting_offsets": setting}
        assert once(NEW, full, ONCE.model_copy(update=change)) == {AT: start}
        assert at_least(NEW, AT_LEAST.model_copy(update=change)) == {AT: start}

    def test_with_a_group(self) -> None:
        """Exactly-once uses any offset; at-least-once only one that exactly-once committed."""
        for committed, offset in ((OURS, 50), (CommittedOffset(50), 10)):
            state = replace(NEW, committed={AT: committed})
            assert once(state, full) == {AT: 50}
            assert at_least(state) == {AT: offset}

    def test_deleted_messages(self) -> None:
        """Unprocessed messages that Kafka deleted are a loss, unless losses are accepted."""
        state = replace(NEW, committed={AT: replace(OURS, offset=5)})
        with pytest.raises(DataLoss):
            once(state, full)
        accepting = ONCE.model_copy(update={"fail_on_data_loss": False})
        assert once(state, full, accepting) == {AT: 5}


class TestUsedCheckpoint:
    """A used checkpoint must be consistent with the group."""

    def test_consistent(self) -> None:
        """The group may be ahead, or behind by offsets without records."""
        assert once(USED, full) == {AT: 50}
        assert once(replace(USED, offset_log=log(40)), full) == {AT: 50}
        assert once(replace(USED, offset_log=log(51)), empty) == {AT: 50}

    def test_ahead_of_the_group(self) -> None:
        """The messages in between would never be processed."""
        with pytest.raises(GroupBehindCheckpoint, match=r"group is at offset 50 of in/0.* at 51"):
            once(replace(USED, offset_log=log(51)), full)

    def test_searched_range(self) -> None:
        """Search for records from the group's or the first offset up to the checkpoint's."""
        searched: list[object] = []

        def has_record(*arguments: object) -> bool:
            searched.append(arguments)
            return False

        behind = replace(USED, committed={AT: replace(OURS, offset=5)}, offset_log=log(60))
        once(behind, has_record)
        once(replace(USED, offset_log=log(60)), has_record)
        assert searched == [(AT, 10, 60), (AT, 50, 60)]

    def test_other_delivery_mode(self) -> None:
        """A checkpoint of the other delivery mode is refused, whichever that is."""
        with pytest.raises(DeliveryModeChanged, match="exactly-once"):
            once(replace(USED, committed={AT: CommittedOffset(50)}), full)
        with pytest.raises(DeliveryModeChanged, match="at-least-once"):
            at_least(USED)

    def test_offset_set_by_hand(self) -> None:
        """An offset that no run committed is refused."""
        two = replace(
            USED,
            partitions=[*USED.partitions, PartitionLag("in", 1, 0, 9, None)],
            committed={AT: OURS, ("in", 1): CommittedOffset(3)},
        )
        with pytest.raises(GroupOffsetsChanged, match=r"in/1 \(3\)"):
            once(two, full)

    def test_deleted_offset(self) -> None:
        """A deleted offset is refused if there are records that may have been processed."""
        gone = replace(USED, committed={})
        with pytest.raises(GroupOffsetLost, match="in/0"):
            once(gone, full)
        assert once(gone, empty) == {AT: 50}

    def test_added_partition(self) -> None:
        """A new partition starts at its first record."""
        added = replace(USED, partitions=[*USED.partitions, PartitionLag("in", 1, 2, 9, None)])
        assert once(added, full) == {AT: 50, ("in", 1): 2}


class TestRecreatedTopic:
    """Offsets of the old topic are meaningless for the new one."""

    def test_by_id(self) -> None:
        """The topic's id shows it, with and without a checkpoint."""
        for state in (USED, replace(USED, offset_log=OffsetLog())):
            with pytest.raises(TopicRecreated, match="topic in "):
                once(replace(state, topic_ids={"in": "other"}), full)

    def test_by_end(self) -> None:
        """An offset beyond the end cannot refer to this topic."""
        for state in (
            replace(NEW, committed={AT: CommittedOffset(101)}),
            replace(USED, committed={}, offset_log=log(101)),
        ):
            with pytest.raises(TopicRecreated):
                once(state, full)
        with pytest.raises(TopicRecreated):
            at_least(replace(USED, committed={}, offset_log=log(101)))
        # If the topic is known to be the same, Spark reports the loss.
        same = TopicRecord({"in": "topic-id"})
        state = replace(USED, committed={}, offset_log=log(101), topic_record=same)
        assert at_least(state) == {AT: 101}
