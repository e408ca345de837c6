from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidemill.dead_letters.position import (
    MAX_METADATA,
    ReplayProgress,
    advance,
    capacity,
    decode,
    encode,
)

if TYPE_CHECKING:
    from random import Random

OFFSETS = st.frozensets(st.integers(0, 60))


def runs(*offsets: int) -> tuple[range, ...]:
    """Return a range for each offset."""
    return tuple(range(offset, offset + 1) for offset in offsets)


def position(start: int, ahead: frozenset[int]) -> ReplayProgress:
    """Return the progress with these offsets done beyond it."""
    return decode(start, ",".join(map(str, ahead)), range(1000))


class TestMoved:
    """Progress never passes a letter that was sent but not delivered."""

    def test_behind_the_last(self) -> None:
        """A selection skips unselected letters before the last delivered one."""
        assert advance(
            ReplayProgress(3), {5, 8}, failed=(), skip_unselected=True
        ) == ReplayProgress(9)

    def test_named(self) -> None:
        """Named letters skip no others; their offsets are recorded."""
        assert advance(
            ReplayProgress(3), {5, 8}, failed=(), skip_unselected=False
        ) == ReplayProgress(3, runs(5, 8))

    def test_named_at_the_position(self) -> None:
        """If a named letter is next, progress moves past all that are done."""
        before = ReplayProgress(3, runs(4, 6))
        assert advance(before, {3}, failed=(), skip_unselected=False) == ReplayProgress(5, runs(6))

    def test_failed(self) -> None:
        """Of the letters before the last delivered one, only undelivered ones wait."""
        assert advance(
            ReplayProgress(0), {1, 2, 6, 9}, failed={4, 7, 20}, skip_unselected=True
        ) == ReplayProgress(4, (range(5, 7), range(8, 10)))

    def test_one_fails_for_ever(self) -> None:
        """A letter that always fails needs one range, however many follow."""
        after = advance(ReplayProgress(0), range(1, 4000, 2), failed={0}, skip_unselected=True)
        assert after == ReplayProgress(0, (range(1, 4000),))
        assert encode(after) == "1-3999"

    def test_notes_beyond_a_chunk(self) -> None:
        """An earlier range beyond the delivered letters is not joined to them."""
        before = ReplayProgress(0, runs(50))
        assert advance(before, {5}, failed=(), skip_unselected=True) == ReplayProgress(6, runs(50))

    def test_again(self) -> None:
        """Sending old letters again never reduces progress."""
        assert advance(ReplayProgress(9), {2}, failed={3}, skip_unselected=True) == ReplayProgress(
            9
        )

    @given(st.integers(0, 60), OFFSETS, OFFSETS, OFFSETS, st.booleans())
    def test_any(
        self,
        start: int,
        ahead: frozenset[int],
        sent: frozenset[int],
        failed: frozenset[int],
        last: bool,
    ) -> None:
        """Delivered letters are done, failed ones are not, and progress never shrinks."""
        before = position(start, ahead)
        delivered = sent - failed
        after = advance(before, delivered, failed=failed, skip_unselected=last)
        old, new = ({offset for offset in range(70) if p.passed(offset)} for p in (before, after))
        passed_over = set(range(max(delivered, default=-1) + 1)) if last else set()
        assert new == old | delivered | (passed_over - failed)
        assert after == decode(after.offset, encode(after), range(70))


class TestRoom:
    """Letters are sent only if the metadata can hold any outcome."""

    @given(
        st.integers(0, 2000),
        st.frozensets(st.integers(0, 3000), max_size=600),
        st.lists(st.integers(0, 3000), unique=True, max_size=300).map(sorted),
        st.frozensets(st.integers(0, 3000), max_size=100),
        st.booleans(),
        st.randoms(use_true_random=False),
    )
    def test_fits(
        self,
        start: int,
        ahead: frozenset[int],
        sent: list[int],
        failed: frozenset[int],
        last: bool,
        chance: Random,
    ) -> None:
        """With as many letters as the capacity allows, the metadata fits."""
        noted = ",".join(map(str, sorted(ahead)))[:MAX_METADATA].rpartition(",")[0]
        before = decode(start, noted, range(4000))
        assume(sent)
        free = capacity(before, sent[-1], failed=len(failed), skip_unselected=last)
        chunk = set(sent[:free])
        lost = {offset for offset in chunk if chance.random() < 0.5}
        after = advance(before, chunk - lost, failed=failed | lost, skip_unselected=last)
        assert len(encode(after)) <= MAX_METADATA

    @pytest.mark.parametrize("last", [True, False])
    def test_full(self, last: bool) -> None:
        """If every second letter fails or is named, a hundred fit, and then no more."""
        now, waiting, sent = ReplayProgress(1_000_000), set[int](), 0
        for offset in range(1_000_000, 1_010_000, 2):
            if not capacity(now, offset, failed=len(waiting), skip_unselected=last):
                break
            sent += 1
            if last:
                waiting.add(offset)
            now = advance(now, {offset + 1}, failed=waiting, skip_unselected=last)
        assert len(encode(now)) <= MAX_METADATA
        assert 100 <= sent < 500

    def test_a_way_out(self) -> None:
        """A selection without the waiting letters still proceeds, and frees capacity."""
        full = ReplayProgress(
            0, tuple(range(offset, offset + 2) for offset in range(1_000_000, 1_001_090, 5))
        )
        assert MAX_METADATA - 16 < len(encode(full)) <= MAX_METADATA
        assert not capacity(full, 1_500_000, failed=0, skip_unselected=False)
        assert not capacity(full, 1_500_000, failed=1, skip_unselected=True)
        assert capacity(full, 1_500_000, failed=0, skip_unselected=True) == 1
        assert advance(full, {1_500_000}, failed=(), skip_unselected=True) == ReplayProgress(
            1_500_001
        )


class TestMetadata:
    """Done ranges are stored in a commit's metadata."""

    def test_written(self) -> None:
        """They are written as ranges."""
        noted = ReplayProgress(2, (range(5, 6), range(7, 10), range(12, 14)))
        assert encode(noted) == "5,7-9,12-13"

    @given(st.integers(0, 60), OFFSETS)
    def test_round(self, start: int, ahead: frozenset[int]) -> None:
        """Decoding restores them."""
        noted = position(start, ahead)
        assert decode(noted.offset, encode(noted), range(100)) == noted
        assert {offset for offset in range(100) if noted.passed(offset)} == {*range(start), *ahead}

    @pytest.mark.parametrize("text", ["x", "5;6", "1-2-3", "-5", "5,,", "{}", "٣"])
    def test_strange(self, text: str) -> None:
        """Foreign metadata is ignored."""
        assert decode(2, text, range(100)) == ReplayProgress(2)

    def test_retention(self) -> None:
        """Deleted offsets are dropped, and a range ends with the topic."""
        assert decode(2, "5,8-10,15", range(9, 20)) == ReplayProgress(11, runs(15))
        assert decode(0, "1-9999999999999999999", range(5)) == ReplayProgress(0, (range(1, 5),))

    def test_made_anew(self) -> None:
        """An offset beyond the end belongs to a deleted topic of that name."""
        assert decode(7, "8", range(5)) == ReplayProgress(0)
        assert decode(5, "", range(5)) == ReplayProgress(5)
