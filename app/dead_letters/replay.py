"""Send dead letters to their source topics again, each of them once.

The consumer group `<group_id>-replay` holds how far the dead-letter topic is dealt with. It has no
members; lag tools show in it what was neither replayed nor passed over yet. What may be committed:

- A choice by error class, source, model, time or tries looks at everything. The position moves
  behind the last letter that was delivered, and so passes over those before it that were not
  chosen or hold no message; those after it wait. `again` takes what was passed over too.
- Letters that were named by their places say nothing about others. They are noted in the commit's
  metadata (`position.py`), and the position moves only where it stands at one of them.
- A letter that was meant and not delivered, or whose topic or partition is gone, holds the
  position: later ones are noted in the metadata.

Positions are committed each time that `CHUNK` letters were acknowledged. A crash between the
acknowledgement and the commit sends up to so many letters again at the next replay and forgets
none: at least once, as the job itself. A group without members expires (by default after a week):
if the dead letters are kept longer, a replay after that begins with the first one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.dead_letters import broker, letters
from app.dead_letters.hindrance import FOREIGN, hindrance
from app.dead_letters.position import moved
from app.dead_letters.reading import records
from app.dead_letters.sender import NO_ANSWER, Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.dead_letters.position import Position
    from app.dead_letters.selection import Selection
    from app.settings import KafkaSettings, StreamSettings

CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay did, or would do: letters counted.

    `chosen` by error class and target topic. By what is said of them: `left_out`; `held`, which
    were meant and cannot be sent now; `failed`, which were sent and not delivered.
    """

    chosen: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def missing(self) -> int:
        """Return how many were meant and are not delivered."""
        return self.failed.total() + self.held.total()


def group_of(stream: StreamSettings) -> str:
    """Return the consumer group that holds how far letters are replayed."""
    return f"{stream.group_id}-replay"


def replay(
    kafka: KafkaSettings,
    stream: StreamSettings,
    selection: Selection,
    *,
    again: bool = False,
    send: bool = False,
    looked: Callable[[int], None] = lambda _: None,
) -> Report:
    """Send the chosen letters, or only say what would be sent; `looked` hears how many are left.

    Letters that come while it runs are not looked at. It ends early where the broker answers no
    more; what was not looked at waits.

    Raises:
        AccessRefused: The broker refuses the credentials.
        BrokerUnreachable: It does not answer.
        NoDeadLetter: A place that was named is not in the topic.
        NoDeadLetterTopic: There is no such topic.

    """
    topic, group = stream.dead_letter_topic, group_of(stream)
    whole = broker.extent(kafka, topic)
    spans = broker.narrowed(kafka, topic, whole, selection)
    positions = broker.positions(kafka, group, topic, whole)
    partitions = broker.partitions(kafka)
    sender = Sender(kafka) if send else None
    report, held, unseen = Report(), dict[int, int](), set(selection.places)
    left = sum(map(len, spans.values()))

    def settle(sender: Sender) -> bool:
        outcomes = sender.settle()
        report.failed.update(said for said in outcomes.values() if said is not None)
        changed = after(positions, outcomes, held, to_last=not selection.places)
        if changed:
            broker.commit(kafka, group, topic, changed)
        positions.update(changed)
        return NO_ANSWER not in outcomes.values()

    for record in records(kafka, topic, spans):
        looked(left := left - 1)
        unseen.discard((record.partition or 0, record.offset or 0))
        letter = letters.read(record)
        if letter is None:
            report.left_out[FOREIGN.said] += 1
            continue
        position = None if again else positions[letter.partition]
        found = hindrance(letter, selection, position, stream, partitions)
        if found is None:
            report.chosen[letter.error, str(letter.source_topic)] += 1
            if sender is not None:
                sender.send(letter)
                if sender.unsettled >= CHUNK and not settle(sender):
                    return report
        elif found.holds:
            report.held[found.said] += 1
            held.setdefault(letter.partition, letter.offset)
        else:
            report.left_out[found.said] += 1
    if sender is not None:
        settle(sender)
    report.left_out.update(["not there any more"] * len(unseen))
    return report


def after(
    positions: Mapping[int, Position],
    outcomes: Mapping[tuple[int, int], str | None],
    held: dict[int, int],
    *,
    to_last: bool,
) -> dict[int, Position]:
    """Return the positions that a chunk's outcomes move; note in `held` what was not delivered."""
    delivered: dict[int, set[int]] = {}
    for (partition, offset), said in outcomes.items():
        if said is None:
            delivered.setdefault(partition, set()).add(offset)
        else:
            held[partition] = min(offset, held.get(partition, offset))
    moves = {
        p: moved(positions[p], offsets, held=held.get(p), to_last=to_last)
        for p, offsets in delivered.items()
    }
    return {p: position for p, position in moves.items() if position != positions[p]}
