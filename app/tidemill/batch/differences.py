"""Compare the outcomes of a backfill with those that a stream has written, message by message."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from tidemill.inference.codec import ENVELOPE, VARIANT, VARIANT_FORCED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

Kind: TypeAlias = Literal["changed", "new", "missing"]

# What may differ although the result is the same: times, and which model it was.
IGNORED = {*ENVELOPE, VARIANT, VARIANT_FORCED}
# Differences of each kind that a person sees at once.
SAMPLE = 5


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of a message: a result, or the class and text of an error.

    `model` is the `name:version`, if the message was routed.
    """

    result: Any = None
    error: str | None = None
    message: str | None = None
    model: str | None = None

    def is_same(self, other: Answer) -> bool:
        """Tell whether results are equal but for times and models, or errors have one class."""
        return self.error == other.error and self.compared() == other.compared()

    def compared(self) -> object:
        """Return the part of a result that counts."""
        if not isinstance(self.result, dict):
            return self.result
        return {name: value for name, value in self.result.items() if name not in IGNORED}


class Located(msgspec.Struct, frozen=True):
    """An answer, and the partition and offset of its message."""

    partition: int
    offset: int
    answer: Answer


class Difference(msgspec.Struct, frozen=True):
    """A message whose outcomes differ; None if there is none on one side."""

    kind: Kind
    partition: int
    offset: int
    backfill: Answer | None
    live: Answer | None


class Differences(msgspec.Struct, frozen=True):
    """The numbers of messages by what a comparison found, and some of the differences."""

    live: list[str]
    same: int
    changed: int
    new: int
    missing: int
    sample: list[Difference]


class LiveOutcomes:
    """The stream's outcomes on disk, the last one of each message."""

    def __init__(self) -> None:
        """Create a temporary database, which SQLite deletes once it is closed."""
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.execute(
            "CREATE TABLE outcome (partition INTEGER, offset INTEGER, written INTEGER, "
            "answer BLOB, seen INTEGER DEFAULT 0, PRIMARY KEY (partition, offset)) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, located: Located, written: int) -> None:
        """Add an outcome; of several for one message, the one that was written last counts."""
        self._database.execute(
            "INSERT INTO outcome (partition, offset, written, answer) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET written = excluded.written, answer = excluded.answer "
            "WHERE excluded.written >= outcome.written",
            (located.partition, located.offset, written, msgspec.json.encode(located.answer)),
        )

    def take(self, partition: int, offset: int) -> Answer | None:
        """Return a message's outcome, and do not count it as missing."""
        row = self._database.execute(
            "UPDATE outcome SET seen = 1 WHERE partition = ? AND offset = ? RETURNING answer",
            (partition, offset),
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Answer)

    def rest(self) -> Iterator[Located]:
        """Yield the outcomes that nobody has taken, by partition and offset."""
        query = "SELECT partition, offset, answer FROM outcome WHERE NOT seen ORDER BY 1, 2"
        with closing(self._database.execute(query)) as rows:
            for partition, offset, answer in rows:
                yield Located(partition, offset, msgspec.json.decode(answer, type=Answer))


def compare(
    backfill: Iterable[Located],
    live: LiveOutcomes,
    write: Callable[[Difference], object],
    *,
    is_expected: Callable[[Answer], bool] = lambda _: True,
) -> tuple[Counter[str], list[Difference]]:
    """Write each difference; return the numbers of messages by kind, and a sample of each kind.

    A live outcome without one here is missing if `is_expected`.
    """
    counts: Counter[str] = Counter()
    sample: list[Difference] = []
    for difference in _differences(backfill, live, is_expected):
        if difference is None:
            counts["same"] += 1
            continue
        write(difference)
        counts[difference.kind] += 1
        if counts[difference.kind] <= SAMPLE:
            sample.append(difference)
    return counts, sample


def _differences(
    backfill: Iterable[Located], live: LiveOutcomes, is_expected: Callable[[Answer], bool]
) -> Iterator[Difference | None]:
    """Yield each difference, and None for each message with the same outcome."""
    for here in backfill:
        there = live.take(here.partition, here.offset)
        if there is None:
            yield Difference("new", here.partition, here.offset, here.answer, None)
        elif here.answer.is_same(there):
            yield None
        else:
            yield Difference("changed", here.partition, here.offset, here.answer, there)
    for there_only in live.rest():
        answer = there_only.answer
        if is_expected(answer):
            yield Difference("missing", there_only.partition, there_only.offset, None, answer)
