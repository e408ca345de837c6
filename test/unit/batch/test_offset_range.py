from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.batch.offset_range import Bound, find_offsets, parse_bound, parse_range
from tidemill.errors import InvalidSelection

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
SPANS = {0: range(5, 10), 1: range(20), 2: range(7, 7)}


def nothing_at(_: int) -> dict[int, int]:
    """Return no offset, as for a time after the last message."""
    return {}


def offsets_between(start: str, stop: str) -> tuple[dict[int, range], list[str]]:
    """Return the offsets between two bounds in `SPANS`."""
    return find_offsets(parse_range(start, stop), SPANS, nothing_at)


class TestParseBound:
    """A bound is a word, an offset, offsets or a time."""

    @pytest.mark.parametrize("text", ["earliest", "latest"])
    def test_word(self, text: str) -> None:
        """The words are those of Kafka."""
        assert parse_bound(text, NOW) == Bound(text)

    def test_offsets(self) -> None:
        """One offset is for all partitions; several name theirs."""
        assert parse_bound("42", NOW).offset == 42
        assert parse_bound("0:120,1:98", NOW).offsets == {0: 120, 1: 98}

    @pytest.mark.parametrize(
        "text", ["2026-11-24T11:00", "2026-11-24T11:00Z", "2026-11-24T12:00+01:00", "1h"]
    )
    def test_time(self, text: str) -> None:
        """A time without a zone is in UTC; an age counts back from now."""
        assert parse_bound(text, NOW).time == round((NOW - 3600) * 1000)

    @pytest.mark.parametrize("text", ["", "-1", "0:1,", "0:1,0:2", "0:", "x", "1.5", "0:1 1:2"])
    def test_malformed(self, text: str) -> None:
        """Anything else is refused, and the hint shows what is accepted."""
        with pytest.raises(InvalidSelection, match="bound of a range"):
            parse_bound(text, NOW)

    @pytest.mark.parametrize(
        ("start", "stop"),
        [("5", "4"), ("1h", "2h"), ("0:5,1:1", "1:0"), ("2026-01-02", "2026-01-01")],
    )
    def test_backwards(self, start: str, stop: str) -> None:
        """A range does not end before it begins."""
        with pytest.raises(InvalidSelection, match="not a range"):
            parse_range(start, stop)


class TestFindOffsets:
    """A range becomes offsets that the topic has."""

    def test_everything(self) -> None:
        """By default, a range is the whole topic."""
        assert offsets_between("earliest", "latest") == (SPANS, [])

    def test_removed(self) -> None:
        """What retention has removed of a range is counted in a warning."""
        found, (warning,) = offsets_between("0:2,1:3", "0:9,1:4")
        assert found == {0: range(5, 9), 1: range(3, 4), 2: range(7, 7)}
        assert "removed 3 offsets of the range: 0:2 to 0:4" in warning

    def test_beyond(self) -> None:
        """A range that goes on into the future ends at the last message, with a warning."""
        found, (warning,) = offsets_between("1:15", "1:30")
        assert found[1] == range(15, 20)
        assert "beyond the end of partition 1" in warning

    def test_times(self) -> None:
        """A time means the first message at or after it; without one, the end."""
        at = {1000: {0: 6, 1: 3}, 2000: {1: 8}}
        wanted = parse_range("1970-01-01T00:00:01", "1970-01-01T00:00:02")
        found, warnings = find_offsets(wanted, SPANS, at.__getitem__)
        assert found == {0: range(6, 10), 1: range(3, 8), 2: range(7, 7)}
        assert warnings == []

    def test_oldest(self) -> None:
        """If a range of times begins at the oldest message left, others may have been removed."""
        wanted = parse_range("1970-01-01T00:00:01", "latest")
        _, (warning,) = find_offsets(wanted, SPANS, lambda _: {0: 5, 1: 0})
        assert "the oldest messages left in partition 0" in warning

    def test_unknown_partition(self) -> None:
        """A partition that does not exist is named."""
        with pytest.raises(InvalidSelection) as refused:
            offsets_between("0:1,9:1", "latest")
        assert "no partition 9" in refused.value.hint

    @given(st.data())
    def test_within(self, data: st.DataObject) -> None:
        """Whatever the bounds, only offsets that exist are read, and each lost one is counted."""
        offsets = st.integers(0, 30)
        span = range(*sorted([data.draw(offsets), data.draw(offsets)]))
        start, stop = sorted([data.draw(offsets), data.draw(offsets)])
        found, warnings = find_offsets(parse_range(f"{start}", f"{stop}"), {0: span}, nothing_at)
        assert [*found[0]] == [each for each in range(start, stop) if each in span]
        lost = len([each for each in range(start, stop) if each < span.start])
        assert any(f"removed {lost} offsets" in each for each in warnings) == bool(lost)
