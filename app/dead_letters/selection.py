"""Which dead letters are meant: what a person may choose by, and how it is written; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.errors import WrongChoice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.dead_letters.letters import DeadLetter

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice of letters; what is left out or empty admits all.

    `since` and `until` are milliseconds since the epoch, both included, in the time of the dead
    letter. `max_tries` leaves out what was replayed so often. `places` are partition and offset.
    """

    errors: frozenset[str] = frozenset()
    source: str | None = None
    model: str | None = None
    since: int | None = None
    until: int | None = None
    max_tries: int | None = None
    places: frozenset[tuple[int, int]] = frozenset()

    def takes(self, letter: DeadLetter) -> bool:
        """Tell whether a letter is chosen."""
        return (
            (not self.errors or letter.error in self.errors)
            and self.source in {None, letter.source_topic}
            and self.model in {None, letter.model}
            and (self.since is None or letter.timestamp >= self.since)
            and (self.until is None or letter.timestamp <= self.until)
            and (self.max_tries is None or letter.tries < self.max_tries)
            and (not self.places or (letter.partition, letter.offset) in self.places)
        )


def choose(
    *,
    now: float,
    errors: Iterable[str] = (),
    source: str | None = None,
    model: str | None = None,
    since: str | None = None,
    until: str | None = None,
    max_tries: int | None = None,
    places: Iterable[str] = (),
) -> Selection:
    """Return the choice that words of a command line make; `now` in seconds since the epoch.

    Raises:
        WrongChoice: A time or a place is not written as it must be.

    """
    return Selection(
        frozenset(errors),
        source,
        model,
        None if since is None else read_time(since, now),
        None if until is None else read_time(until, now),
        max_tries,
        frozenset(map(read_place, places)),
    )


def read_time(text: str, now: float) -> int:
    """Return milliseconds since the epoch of an ISO 8601 time (UTC without a zone) or an age.

    Raises:
        WrongChoice: It is neither.

    """
    try:
        if age := re.fullmatch(r"(\d+)([smhdw])", text, re.ASCII):
            return max(0, int(1000 * (now - int(age[1]) * SECONDS[age[2]])))
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0, int(1000 * moment.timestamp()))
    except (ValueError, OverflowError):
        raise WrongChoice(
            text, "a time: write 2026-11-24T05:49 (UTC), with a zone +01:00, or an age: 15m, 2h, 3d"
        ) from None


def read_place(text: str) -> tuple[int, int]:
    """Return partition and offset of PARTITION/OFFSET.

    Raises:
        WrongChoice: It is not written like that.

    """
    found = re.fullmatch(r"(\d{1,10})/(\d{1,19})", text, re.ASCII)
    if found is None:
        raise WrongChoice(text, "a place: write PARTITION/OFFSET, such as 0/42")
    return int(found[1]), int(found[2])
