from __future__ import annotations

from app.dead_letters.position import Position
from app.dead_letters.replay import after


class TestAfter:
    """The positions that a chunk's outcomes move, by partition."""

    def test_delivered(self) -> None:
        """Only partitions that moved are named."""
        positions = {0: Position(0), 1: Position(0), 2: Position(9)}
        outcomes = {(0, 3): None, (0, 7): None, (2, 1): None}
        assert after(positions, outcomes, {}, to_last=True) == {0: Position(8)}

    def test_failed(self) -> None:
        """A failure is noted, the first of its partition, and holds it in later chunks too."""
        held: dict[int, int] = {}
        outcomes = {(0, 9): "too large", (0, 3): "too large", (0, 2): None, (0, 8): None}
        moved = after({0: Position(0)}, outcomes, held, to_last=True)
        assert moved == {0: Position(3, frozenset({8}))}
        assert held == {0: 3}
        later = after(moved, {(0, 20): None}, held, to_last=True)
        assert later == {0: Position(3, frozenset({8, 20}))}
