from __future__ import annotations

from tidemill.dead_letters.letters import DeadLetter
from tidemill.dead_letters.summary import ErrorClassCount, listing


def letter(offset: int, timestamp: int, error: str = "NoModel") -> DeadLetter:
    """Make a letter."""
    return DeadLetter(0, offset, timestamp, None, None, (), error)


class TestListing:
    """Letters are counted by class, and the newest kept."""

    def test_counts(self) -> None:
        """With the first and last time of each class, whatever the order; others apart."""
        found = [letter(0, 50), None, letter(1, 20), letter(2, 30, "InvalidJson"), letter(3, 40)]
        listed = listing(found, 2)
        assert listed.classes == {
            "NoModel": ErrorClassCount(3, 20, 50),
            "InvalidJson": ErrorClassCount(1, 30, 30),
        }
        assert [kept.timestamp for kept in listed.newest] == [50, 40]
        assert listed.foreign == 1

    def test_one(self) -> None:
        """A limit of one counts all the same."""
        listed = listing([letter(0, 1), letter(1, 1)], 1)
        assert listed.classes["NoModel"].count == 2
        assert [kept.offset for kept in listed.newest] == [1]

    def test_none(self) -> None:
        """Nothing is nothing."""
        listed = listing([], 20)
        assert (listed.classes, listed.newest, listed.foreign) == ({}, [], 0)
