"""Summarise dead letters: counts by error class, and the newest letters."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING

from tidemill.dead_letters import group
from tidemill.dead_letters.letters import read
from tidemill.dead_letters.selection import Selection
from tidemill.errors import NoDeadLetter
from tidemill.kafka.reader import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class ErrorClassCount:
    """The number of letters of an error class, and the first and last time (milliseconds)."""

    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts by error class, the newest letters, and the number of unrecognised records."""

    classes: dict[str, ErrorClassCount]
    newest: list[DeadLetter]
    foreign: int


def select(kafka: KafkaSettings, topic: str, selection: Selection) -> Iterator[DeadLetter | None]:
    """Yield the selected letters of the topic, and None for each record that is no dead letter.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer.
        NoDeadLetterTopic: The topic does not exist.

    """
    spans = group.ranges_to_scan(kafka, topic, group.offset_ranges(kafka, topic), selection)
    for record in records(kafka, topic, spans):
        letter = read(record)
        if letter is None or selection.matches(letter):
            yield letter


def summarise(letters: Iterable[DeadLetter | None], limit: int) -> Summary:
    """Count the letters, and keep the `limit` newest, newest first."""
    classes: dict[str, ErrorClassCount] = {}
    foreign = 0

    def count() -> Iterator[DeadLetter]:
        nonlocal foreign
        for letter in letters:
            if letter is None:
                foreign += 1
                continue
            counted = classes.get(
                letter.error, ErrorClassCount(0, letter.timestamp, letter.timestamp)
            )
            classes[letter.error] = ErrorClassCount(
                counted.count + 1,
                min(counted.first, letter.timestamp),
                max(counted.last, letter.timestamp),
            )
            yield letter

    def age(letter: DeadLetter) -> tuple[int, int, int]:
        return letter.timestamp, letter.partition, letter.offset

    newest = nlargest(limit, count(), key=age)
    return Summary(classes, newest, foreign)


def get(kafka: KafkaSettings, topic: str, place: tuple[int, int]) -> DeadLetter:
    """Return the letter at a partition and offset.

    Raises:
        NoDeadLetter: There is no dead letter at this place.

    """
    for letter in select(kafka, topic, Selection(places=frozenset({place}))):
        if letter is not None:
            return letter
        raise NoDeadLetter("{}/{}".format(*place), "Tidemill did not write the record there")
    raise NoDeadLetter("{}/{}".format(*place), "the record is gone")
