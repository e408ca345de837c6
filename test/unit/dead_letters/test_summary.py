from __future__ import annotations

from tidemill.dead_letters.letters import DeadLetter
from tidemill.dead_letters.summary import ErrorClassCount, summarise


def letter(offset: int, timestamp: int, error: str = "NoModel") -> DeadLetter:
    """Return a letter."""
    return DeadLetter(0, offset, timestamp, None, None, (), error)


class TestSummarise:
    """Letters are counted by error class, and the newest are kept."""

    def test_counts(self) -> None:
        """Each class has its first and last time, whatever the order of letters."""
        letters = [letter(0, 50), None, letter(1, 20), letter(2, 30, "InvalidJson"), letter(3, 40)]
        summary = summarise(letters, 2)
        assert summary.classes == {
            "NoModel": ErrorClassCount(3, 20, 50),
            "InvalidJson": ErrorClassCount(1, 30, 30),
        }
        assert [kept.timestamp for kept in summary.newest] == [50, 40]
        assert summary.foreign == 1

    def test_one(self) -> None:
        """With a limit of 1, all letters still count."""
        summary = summarise([letter(0, 1), letter(1, 1)], 1)
        assert summary.classes["NoModel"].count == 2
        assert [kept.offset for kept in summary.newest] == [1]

    def test_none(self) -> None:
        """Without letters, the summary is empty."""
        summary = summarise([], 20)
        assert (summary.classes, summary.newest, summary.foreign) == ({}, [], 0)
