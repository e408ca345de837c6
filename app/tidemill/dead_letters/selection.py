"""Select dead letters by the words of a command line (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tidemill.errors import InvalidSelection, MessageError, messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.dead_letters.letters import DeadLetter

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of letters; a criterion that is None or empty matches all.

    `since` and `until` limit the dead letter's timestamp (milliseconds since the epoch, inclusive).
    `max_tries` excludes letters that were replayed so often. `places` holds partition and offset.
    """

    errors: frozenset[str] = frozenset()
    source: str | None = None
    model: str | None = None
    since: int | None = None
    until: int | None = None
    max_tries: int | None = None
    places: frozenset[tuple[int, int]] = frozenset()

    def matches(self, letter: DeadLetter) -> bool:
        """Tell whether a letter is selected."""
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
    """Return the selection for the words of a command line; `now` is in seconds since the epoch.

    Raises:
        InvalidSelection: A word is malformed, or no letter could match.

    """
    if model is not None and ":" not in model:
        raise InvalidSelection(model, "a model", "Write NAME:VERSION, such as ner-en:3.8.0.")
    after = None if since is None else read_time(since, now)
    before = None if until is None else read_time(until, now)
    if after is not None and before is not None and after > before:
        raise InvalidSelection(f"{since} to {until}", "a span of time", "It ends before it begins.")
    return Selection(
        frozenset(map(read_error, errors)),
        source,
        model,
        after,
        before,
        max_tries,
        frozenset(map(read_place, places)),
    )


def read_error(text: str) -> str:
    """Return the error class of dead letters with this name.

    Raises:
        InvalidSelection: There is no such class.

    """
    classes = [each for each in vars(messages).values() if isinstance(each, type)]
    names = [each.__name__ for each in classes if issubclass(each, MessageError)]
    known = {name.lower(): name for name in names if name != MessageError.__name__}
    if text in known.values():
        return text
    near = get_close_matches(text.lower(), known, n=1)
    hint = f"Did you mean {known[near[0]]}?" if near else f"There are {', '.join(known.values())}."
    raise InvalidSelection(text, "an error class", hint)


def read_time(text: str, now: float) -> int:
    """Return the milliseconds since the epoch of an age or an ISO 8601 time (UTC by default).

    Raises:
        InvalidSelection: The text is neither.

    """
    try:
        if age := re.fullmatch(r"(\d+)([smhdw])", text, re.ASCII):
            return max(0, int(1000 * (now - int(age[1]) * SECONDS[age[2]])))
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0, int(1000 * moment.timestamp()))
    except (ValueError, OverflowError):
        raise InvalidSelection(
            text,
            "a time",
            "Write 2026-11-24T05:49 (UTC), with a zone +01:00, or an age: 15m, 2h, 3d.",
        ) from None


def read_place(text: str) -> tuple[int, int]:
    """Parse PARTITION/OFFSET.

    Raises:
        InvalidSelection: The text has another form.

    """
    match = re.fullmatch(r"(\d{1,10})/(\d{1,19})", text, re.ASCII)
    if match is None:
        raise InvalidSelection(text, "a place", "Write PARTITION/OFFSET, such as 0/42.")
    return int(match[1]), int(match[2])
