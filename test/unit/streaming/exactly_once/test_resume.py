"""Where a start goes on, and what it refuses: pure decisions over what it found."""

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
from tidemill.streaming.exactly_once.position import Position, Run
from tidemill.streaming.exactly_once.resume import Found, where

AT = ("in", 0)
OURS = Position(50, Run(3, "id"), "topic-id")
ONCE = StreamSettings(delivery="exactly-once")
AT_LEAST = StreamSettings()
NEW = Found([PartitionLag("in", 0, 10, 100, None)], {}, {"in": "topic-id"})


def log(offset: int) -> OffsetLog:
    """Return the log of a checkpoint that goes on at an offset."""
    return OffsetLog(0, {AT: offset}, {AT: offset}, "offsets/0", "offsets/0")


USED = replace(NEW, positions={AT: OURS}, log=log(50))


def full(*_: object) -> bool:
    """Have a record at each offset."""
    return True


def empty(*_: object) -> bool:
    """Have none."""
    return False


class TestANewCheckpoint:
    """It starts at the group's offsets, where there are any."""

    @pytest.mark.parametrize(
        ("asked", "start"),
        [
            ("earliest", 10),
            ("latest", 100),
            ('{"in": {"0": 42}}', 42),
            ('{"in": {"0": -2}}', 10),
            ('{"in": {"0": -1}}', 100),
            ("{}", 10),
        ],
    )
    def test_without_a_group(self, asked: str, start: int) -> None:
        """As the setting says."""
        for settings in (ONCE, AT_LEAST):
            stream = settings.model_copy(update={"starting_offsets": asked})
            assert where(NEW, stream, full) == {AT: start}

    def test_with_a_group(self) -> None:
        """Exactly-once goes by it, whoever committed; the other only if exactly-once did."""
        for position, at_least in ((OURS, 50), (Position(50), 10)):
            found = replace(NEW, positions={AT: position})
            assert where(found, ONCE, full) == {AT: 50}
            assert where(found, AT_LEAST, full) == {AT: at_least}

    def test_messages_that_are_gone(self) -> None:
        """What was removed unanswered is a loss, unless losses are accepted."""
        found = replace(NEW, positions={AT: replace(OURS, offset=5)})
        with pytest.raises(DataLoss):
            where(found, ONCE, full)
        accepting = ONCE.model_copy(update={"fail_on_data_loss": False})
        assert where(found, accepting, full) == {AT: 5}


class TestACheckpoint:
    """It must be of the same story as the group."""

    def test_alike(self) -> None:
        """The group may be ahead, and behind by offsets without records."""
        assert where(USED, ONCE, full) == {AT: 50}
        assert where(replace(USED, log=log(40)), ONCE, full) == {AT: 50}
        assert where(replace(USED, log=log(51)), ONCE, empty) == {AT: 50}

    def test_ahead_of_the_group(self) -> None:
        """Messages between would never be answered."""
        with pytest.raises(
            GroupBehindCheckpoint,
            match="group is at offset 50 of in/0, but the checkpoint continues at 51",
        ):
            where(replace(USED, log=log(51)), ONCE, full)

    def test_what_is_looked_at(self) -> None:
        """From the group's offset, or the first that is there, to the checkpoint's."""
        asked: list[object] = []

        def look(*between: object) -> bool:
            asked.append(between)
            return False

        behind = replace(USED, positions={AT: replace(OURS, offset=5)}, log=log(60))
        where(behind, ONCE, look)
        where(replace(USED, log=log(60)), ONCE, look)
        assert asked == [(AT, 10, 60), (AT, 50, 60)]

    def test_the_other_delivery(self) -> None:
        """Of a job that ran in the other mode, whichever that is."""
        with pytest.raises(DeliveryModeChanged, match="exactly-once"):
            where(replace(USED, positions={AT: Position(50)}), ONCE, full)
        with pytest.raises(DeliveryModeChanged, match="at-least-once"):
            where(USED, AT_LEAST, full)

    def test_an_offset_set_by_hand(self) -> None:
        """The checkpoint knows nothing of it."""
        two = replace(
            USED,
            partitions=[*USED.partitions, PartitionLag("in", 1, 0, 9, None)],
            positions={AT: OURS, ("in", 1): Position(3)},
        )
        with pytest.raises(GroupOffsetsChanged, match=r"in/1 \(3\)"):
            where(two, ONCE, full)

    def test_an_offset_that_is_gone(self) -> None:
        """Where there are records that may have been answered."""
        gone = replace(USED, positions={})
        with pytest.raises(GroupOffsetLost, match="in/0"):
            where(gone, ONCE, full)
        assert where(gone, ONCE, empty) == {AT: 50}

    def test_a_partition_that_was_added(self) -> None:
        """Starts at its first record."""
        added = replace(USED, partitions=[*USED.partitions, PartitionLag("in", 1, 2, 9, None)])
        assert where(added, ONCE, full) == {AT: 50, ("in", 1): 2}


class TestATopicMadeAnew:
    """Offsets of the old one mean nothing."""

    def test_by_its_id(self) -> None:
        """With a checkpoint and without."""
        for found in (USED, replace(USED, log=OffsetLog())):
            with pytest.raises(TopicRecreated, match="topic in "):
                where(replace(found, topic_ids={"in": "other"}), ONCE, full)

    def test_by_its_end(self) -> None:
        """An offset beyond the end is of no message of this topic."""
        for found in (
            replace(NEW, positions={AT: Position(101)}),
            replace(USED, positions={}, log=log(101)),
        ):
            with pytest.raises(TopicRecreated):
                where(found, ONCE, full)
        with pytest.raises(TopicRecreated):
            where(replace(USED, positions={}, log=log(101)), AT_LEAST, full)
        # Of a topic that is known to be the same, Spark says what was lost.
        same = TopicRecord({"in": "topic-id"})
        found = replace(USED, positions={}, log=log(101), record=same)
        assert where(found, AT_LEAST, full) == {AT: 101}
