from __future__ import annotations

from collections import defaultdict

from tidemill.dead_letters.delivery import after
from tidemill.dead_letters.position import Position


class TestAfter:
    """The positions that a chunk's outcomes move, by partition."""

    def test_delivered(self) -> None:
        """Only partitions that moved are named."""
        positions = {0: Position(0), 1: Position(0), 2: Position(9)}
        outcomes = {(0, 3): None, (0, 7): None, (2, 1): None}
        assert after(positions, outcomes, defaultdict(set), to_last=True) == {0: Position(8)}

    def test_failed(self) -> None:
        """A failure is noted, and holds its partition in later chunks too."""
        waiting = defaultdict[int, set[int]](set)
        outcomes = {(0, 9): "too large", (0, 3): "too large", (0, 2): None, (0, 8): None}
        moved = after({0: Position(0)}, outcomes, waiting, to_last=True)
        assert moved == {0: Position(3, (range(4, 9),))}
        assert waiting == {0: {3, 9}}
        later = after(moved, {(0, 20): None}, waiting, to_last=True)
        assert later == {0: Position(3, (range(4, 9), range(10, 21)))}
