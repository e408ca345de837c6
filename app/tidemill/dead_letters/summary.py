"""What dead letters there are: counted by error class, and the newest of them."""

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
class Seen:
    """How many letters of a class, and the times of the first and last (milliseconds)."""

    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Chosen letters by error class, the newest ones, and how many records are no letters."""

    classes: dict[str, Seen]
    newest: list[DeadLetter]
    foreign: int


def chosen(kafka: KafkaSettings, topic: str, selection: Selection) -> Iterator[DeadLetter | None]:
    """Yield the chosen letters of the topic, one at a time, and None for what is no dead letter.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: It does not answer.
        NoDeadLetterTopic: There is no such topic.

    """
    spans = group.narrowed(kafka, topic, group.extent(kafka, topic), selection)
    for record in records(kafka, topic, spans):
        letter = read(record)
        if letter is None or selection.takes(letter):
            yield letter


def listing(found: Iterable[DeadLetter | None], limit: int) -> Listing:
    """Count the letters; keep `limit` of them, the newest first."""
    classes: dict[str, Seen] = {}
    foreign = 0

    def counted() -> Iterator[DeadLetter]:
        nonlocal foreign
        for letter in found:
            if letter is None:
                foreign += 1
                continue
            seen = classes.get(letter.error, Seen(0, letter.timestamp, letter.timestamp))
            classes[letter.error] = Seen(
                seen.count + 1,
                min(seen.first, letter.timestamp),
                max(seen.last, letter.timestamp),
            )
            yield letter

    def age(letter: DeadLetter) -> tuple[int, int, int]:
        return letter.timestamp, letter.partition, letter.offset

    newest = nlargest(limit, counted(), key=age)
    return Listing(classes, newest, foreign)


def one(kafka: KafkaSettings, topic: str, place: tuple[int, int]) -> DeadLetter:
    """Return the letter at a partition and offset.

    Raises:
        NoDeadLetter: There is none.

    """
    for letter in chosen(kafka, topic, Selection(places=frozenset({place}))):
        if letter is not None:
            return letter
        raise NoDeadLetter("{}/{}".format(*place), "the record there is not by Tidemill")
    raise NoDeadLetter("{}/{}".format(*place), "the record is not there any more")
