from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dead_letters.position import MAX_METADATA, Position, decode, encode, moved

OFFSETS = st.frozensets(st.integers(0, 60))


class TestMoved:
    """The position never goes beyond what was meant and is not delivered."""

    def test_behind_the_last(self) -> None:
        """A choice passes over what it did not choose, up to the last that was delivered."""
        assert moved(Position(3), {5, 8}, held=None, to_last=True) == Position(9)

    def test_named(self) -> None:
        """Named letters pass over no other; they are noted."""
        assert moved(Position(3), {5, 8}, held=None, to_last=False) == Position(
            3, frozenset({5, 8})
        )

    def test_named_at_the_position(self) -> None:
        """Where the position stands at one, it moves over all that are done."""
        position = Position(3, frozenset({4, 6}))
        assert moved(position, {3}, held=None, to_last=False) == Position(5, frozenset({6}))

    def test_held(self) -> None:
        """What was not delivered holds the position; later ones are noted."""
        assert moved(Position(0), {1, 2, 6}, held=4, to_last=True) == Position(3, frozenset({6}))

    def test_notes_beyond_a_chunk(self) -> None:
        """An earlier note beyond what was delivered now moves nothing: between may be letters."""
        position = Position(0, frozenset({50}))
        assert moved(position, {5}, held=None, to_last=True) == Position(6, frozenset({50}))

    def test_again(self) -> None:
        """Sending old letters again moves nothing back."""
        assert moved(Position(9), {2}, held=3, to_last=True) == Position(9)

    @given(st.integers(0, 60), OFFSETS, OFFSETS, st.none() | st.integers(0, 60), st.booleans())
    def test_any(
        self, start: int, ahead: frozenset[int], sent: frozenset[int], held: int | None, last: bool
    ) -> None:
        """What is delivered is dealt with, what is held is not, and nothing goes back."""
        before = Position(start, frozenset(at for at in ahead if at >= start))
        delivered = sent - {held}
        after = moved(before, delivered, held=held, to_last=last)
        assert after.offset >= before.offset
        assert all(after.passed(at) for at in delivered)
        if held is not None and not before.passed(held):
            assert not after.passed(held)
        if not last:
            new = {at for at in range(70) if after.passed(at) and not before.passed(at)}
            assert new <= delivered


class TestMetadata:
    """What is noted goes through a commit's metadata."""

    def test_written(self) -> None:
        """As runs."""
        assert encode(Position(2, frozenset({5, 7, 8, 9, 12, 13}))) == "5,7-9,12-13"

    @given(st.integers(0, 60), OFFSETS)
    def test_round(self, start: int, ahead: frozenset[int]) -> None:
        """What fits comes back as it was."""
        position = Position(start, frozenset(at for at in ahead if at >= start))
        assert decode(position.offset, encode(position), range(100)) == position

    def test_too_much(self) -> None:
        """Of what does not fit, the lowest are kept, whole."""
        position = Position(0, frozenset(range(1_000_001, 1_010_001, 2)))
        text = encode(position)
        assert MAX_METADATA - 20 < len(text) <= MAX_METADATA
        kept = decode(0, text, range(2_000_000)).ahead
        assert kept == frozenset(sorted(position.ahead)[: len(kept)])

    @pytest.mark.parametrize("text", ["x", "5;6", "1-2-3", "-5", "5,,", "{}", "٣"])
    def test_strange(self, text: str) -> None:
        """Metadata of others says nothing."""
        assert decode(2, text, range(100)) == Position(2)

    def test_retention(self) -> None:
        """What Kafka no longer has is not kept; a run without bounds takes no memory."""
        assert decode(2, "5,8-10", range(9, 20)) == Position(9, frozenset({9, 10}))
        assert decode(0, "1-9999999999999999999", range(5)).ahead == {1, 2, 3, 4}

    def test_made_anew(self) -> None:
        """An offset beyond the end is of an earlier topic of the name."""
        assert decode(7, "8", range(5)) == Position(0)
        assert decode(5, "", range(5)) == Position(5)
