"""Send dead letters to their source topics again, each of them once.

The consumer group `<group_id>-replay` holds how far the dead-letter topic is dealt with. It has no
members; lag tools show in it what was neither replayed nor passed over yet. What may be committed:

- A choice by error class, source, model, time or tries looks at everything. The position moves
  behind the last letter that was delivered, and so passes over those before it that were not
  chosen or that nobody could send; those after it wait. `again` takes what was passed over too.
- Letters that were named by their places say nothing about others. They are noted in the commit's
  metadata (`position.py`), and the position moves only where it stands at one of them.
- A letter that was sent and not delivered waits for the next replay, and holds the position: what
  is done beyond it is noted in the metadata.
- The metadata has room for about a hundred letters of a partition that wait, or that were named.
  Where it is full nothing more of that partition is sent: it would be sent at each replay. That
  counts as `held`. A choice that leaves out those that wait passes over them, and makes room.

Positions are committed each time that `CHUNK` letters were acknowledged (`delivery.py`), or sooner
where there is little room. A crash between the acknowledgement and the commit sends up to so many
letters again at the next replay and forgets none: at least once, as the job itself. A group without
members expires (by default after a week): if the dead letters are kept longer, a replay after that
begins with the first one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemill.dead_letters import group, letters
from tidemill.dead_letters.delivery import FULL, Delivery
from tidemill.dead_letters.eligibility import FOREIGN, PASSED_OVER, WAITS, hindrance
from tidemill.kafka.members import require_none
from tidemill.kafka.reader import records

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.dead_letters.selection import Selection
    from tidemill.settings import KafkaSettings, StreamSettings


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay did, or would do: letters counted.

    `chosen`, which were or would be sent, by error class and target topic. By what is said of them:
    `left_out`; `held`, which were meant and could not be noted; `failed`, which were sent and not
    delivered.
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
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: It does not answer.
        GroupInUse: Others are in the group, so that nobody could note what is sent.
        NoDeadLetter: A place that was named is not in the topic.
        NoDeadLetterTopic: There is no such topic.

    """
    topic, group_id = stream.dead_letter_topic, group_of(stream)
    if send:
        require_none(kafka, group_id)
    whole = group.extent(kafka, topic)
    spans = group.narrowed(kafka, topic, whole, selection)
    positions = group.positions(kafka, group_id, topic, whole)
    partitions = group.partitions(kafka)
    delivery = (
        Delivery(kafka, group_id, topic, positions, to_last=not selection.places) if send else None
    )
    report = Report(failed=delivery.failed if delivery else Counter())
    unseen = set(selection.places)
    waits = Counter[int]()  # by partition, since the last chosen letter
    left = sum(map(len, spans.values()))
    for record in records(kafka, topic, spans):
        looked(left := left - 1)
        unseen.discard((record.partition or 0, record.offset or 0))
        letter = letters.read(record)
        if letter is None:
            report.left_out[FOREIGN] += 1
            continue
        position = None if again else positions[letter.partition]
        found = hindrance(letter, selection, position, stream, partitions)
        if found == WAITS:
            waits[letter.partition] += 1
            continue
        if found is not None:
            report.left_out[found] += 1
            continue
        if delivery is not None:
            room = delivery.fits(letter)
            if delivery.broken:
                return report
            if not room:
                report.held[FULL] += 1
                continue
            delivery.send(letter)
        report.chosen[letter.error, str(letter.source_topic)] += 1
        report.left_out[PASSED_OVER] += waits.pop(letter.partition, 0)
    if delivery is not None:
        delivery.settle()
    report.left_out.update({WAITS: waits.total(), "not there any more": len(unseen)})
    return report
