from __future__ import annotations

import pytest

from tidemill.errors import ConfigurationError, InvalidStartingOffsets
from tidemill.kafka.lag import PartitionLag
from tidemill.settings import StreamSettings
from tidemill.streaming.starting_offsets import resolve

PARTITIONS = [PartitionLag("in", 0, 10, 100, None), PartitionLag("in", 1, 0, 7, None)]


def starts(offsets: object, *, fail_on_data_loss: bool = True) -> list[int]:
    """Return where the two partitions start."""
    stream = StreamSettings(
        starting_offsets=offsets,
        fail_on_data_loss=fail_on_data_loss,
    )
    return list(resolve(stream, PARTITIONS).values())


class TestResolve:
    """Every partition gets an offset that it contains."""

    @pytest.mark.parametrize(
        ("offsets", "expected"),
        [
            ("earliest", [10, 0]),
            ("latest", [100, 7]),
            ({"in": {"0": 42, "1": 3}}, [42, 3]),
            ({"in": {"0": -2, "1": -1}}, [10, 7]),
            ({"in": {"0": 10, "1": 7}}, [10, 7]),
        ],
    )
    def test_named(self, offsets: object, expected: list[int]) -> None:
        """The setting names offsets by words or numbers."""
        assert starts(offsets) == expected

    @pytest.mark.parametrize("offsets", [{"in": {"0": 42}}, {"in": {"1": 3}}, {"in": {}}, {}])
    def test_not_named(self, offsets: dict[str, dict[str, int]]) -> None:
        """A partition that the setting does not name starts at its earliest offset."""
        named = offsets.get("in", {})
        assert starts(offsets) == [named.get("0", 10), named.get("1", 0)]

    @pytest.mark.parametrize(("topic", "partition"), [("in", 2), ("other", 0)])
    def test_unknown_partition(self, topic: str, partition: int) -> None:
        """A partition that the job does not read is refused."""
        with pytest.raises(InvalidStartingOffsets, match=f"{topic}/{partition} is not a partition"):
            starts({topic: {str(partition): 0}})

    @pytest.mark.parametrize("offset", [9, 101, 10**12])
    def test_out_of_range(self, offset: int) -> None:
        """An offset that retention has deleted, or that does not exist yet, is refused."""
        with pytest.raises(InvalidStartingOffsets, match=f"holds offsets 10 to 100, not {offset}"):
            starts({"in": {"0": offset}})

    def test_accepted_loss(self) -> None:
        """If losses are accepted, deleted offsets are skipped; future ones are still refused."""
        assert starts({"in": {"0": 9}}, fail_on_data_loss=False) == [10, 0]
        with pytest.raises(InvalidStartingOffsets):
            starts({"in": {"0": 101}}, fail_on_data_loss=False)

    def test_perhaps_unused(self) -> None:
        """If a checkpoint may exist, which would override the setting, nothing is refused."""
        stream = StreamSettings(starting_offsets={"in": {"0": 9}, "gone": {"0": 1}})
        assert list(resolve(stream, PARTITIONS, strict=False).values()) == [9, 0]

    def test_exit_code(self) -> None:
        """It is a configuration error, which a restart cannot fix."""
        assert issubclass(InvalidStartingOffsets, ConfigurationError)
