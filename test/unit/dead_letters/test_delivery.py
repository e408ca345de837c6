from __future__ import annotations

from collections import defaultdict

from tidemill.dead_letters.delivery import apply_outcomes
from tidemill.dead_letters.position import ReplayProgress


class TestAfter:
    """A chunk's outcomes advance the progress of its partitions."""

    def test_delivered(self) -> None:
        """Only partitions that advanced are returned."""
        positions = {0: ReplayProgress(0), 1: ReplayProgress(0), 2: ReplayProgress(9)}
        outcomes = {(0, 3): None, (0, 7): None, (2, 1): None}
        assert apply_outcomes(positions, outcomes, defaultdict(set), skip_unselected=True) == {
            0: ReplayProgress(8)
        }

    def test_failed(self) -> None:
        """An undelivered letter holds back its partition, in later chunks too."""
        waiting = defaultdict[int, set[int]](set)
        outcomes = {(0, 9): "too large", (0, 3): "too large", (0, 2): None, (0, 8): None}
        moved = apply_outcomes({0: ReplayProgress(0)}, outcomes, waiting, skip_unselected=True)
        assert moved == {0: ReplayProgress(3, (range(4, 9),))}
        assert waiting == {0: {3, 9}}
        later = apply_outcomes(moved, {(0, 20): None}, waiting, skip_unselected=True)
        assert later == {0: ReplayProgress(3, (range(4, 9), range(10, 21)))}
