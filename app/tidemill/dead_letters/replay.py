"""Send dead letters to their source topics again, each of them once.

The consumer group `<group_id>-replay` stores the progress. It has no members; lag tools show in it
how many letters were neither replayed nor skipped. What a replay commits:

- A selection by error class, source, model, time or tries covers the whole topic. The offset moves
  past the last delivered letter. Letters before it that were not selected, or that cannot be sent,
  count as skipped; letters after it keep waiting. `again` includes skipped letters.
- Letters that were named by their places do not affect others. They are stored in the commit's
  metadata (`position.py`); the offset moves only if it points at one of them.
- A letter that was sent but not delivered waits for the next replay and holds the offset back.
  Letters delivered after it are stored in the metadata.
- The metadata has room for about a hundred waiting or named letters of a partition. When it is
  full, no more letters of the partition are sent, because each replay would send them again. They
  count as `held`. A selection that excludes the waiting letters skips them, and so frees the room.

Progress is committed after each `CHUNK` of acknowledged letters (`delivery.py`), or earlier if the
metadata is nearly full. After a crash between acknowledgement and commit, the next replay sends up
to that many letters again and forgets none: at least once, like the job itself. A group without
members expires (by default after a week). If the dead letters live longer, a later replay starts
with the first one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidemill.dead_letters import group, letters
from tidemill.dead_letters.delivery import FULL, Delivery
from tidemill.dead_letters.eligibility import SKIPPED, UNRECOGNISED, WAITING, ineligibility
from tidemill.kafka.members import require_none
from tidemill.kafka.reader import records

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.dead_letters.selection import Selection
    from tidemill.settings import KafkaSettings, StreamSettings


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of letters in a replay or its preview.

    `chosen` letters were or would be sent, by error class and target topic. The others by reason:
    `left_out`; `held`, which were selected but whose outcome could not be stored; and `failed`,
    which were sent but not delivered.
    """

    chosen: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def missing(self) -> int:
        """Return how many selected letters are not delivered."""
        return self.failed.total() + self.held.total()


def replay_group(stream: StreamSettings) -> str:
    """Return the consumer group that stores the replay progress."""
    return f"{stream.group_id}-replay"


def replay(
    kafka: KafkaSettings,
    stream: StreamSettings,
    selection: Selection,
    *,
    again: bool = False,
    send: bool = False,
    on_read: Callable[[int], None] = lambda _: None,
) -> Report:
    """Send the selected letters, or only report what would be sent.

    `on_read` is called with the number of letters that are left. Letters that arrive meanwhile are
    not included. If the broker stops answering, the replay ends early and the rest keeps waiting.

    Raises:
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer.
        GroupInUse: The replay group has members, so progress could not be stored.
        NoDeadLetter: The topic has nothing at a named place.
        NoDeadLetterTopic: The topic does not exist.

    """
    topic, group_id = stream.dead_letter_topic, replay_group(stream)
    if send:
        require_none(kafka, group_id)
    whole = group.offset_ranges(kafka, topic)
    spans = group.ranges_to_scan(kafka, topic, whole, selection)
    positions = group.positions(kafka, group_id, topic, whole)
    topics = group.visible_topics(kafka)
    delivery = (
        Delivery(kafka, group_id, topic, positions, skip_unselected=not selection.places)
        if send
        else None
    )
    report = Report(failed=delivery.failed if delivery else Counter())
    unseen = set(selection.places)
    waits = Counter[int]()  # by partition, since the last selected letter
    left = sum(map(len, spans.values()))
    for record in records(kafka, topic, spans):
        on_read(left := left - 1)
        unseen.discard((record.partition or 0, record.offset or 0))
        letter = letters.read(record)
        if letter is None:
            report.left_out[UNRECOGNISED] += 1
            continue
        position = None if again else positions[letter.partition]
        reason = ineligibility(letter, selection, position, stream, topics)
        if reason == WAITING:
            waits[letter.partition] += 1
            continue
        if reason is not None:
            report.left_out[reason] += 1
            continue
        if delivery is not None:
            room = delivery.fits(letter)
            if delivery.is_broken:
                return report
            if not room:
                report.held[FULL] += 1
                continue
            delivery.send(letter)
        report.chosen[letter.error, str(letter.source_topic)] += 1
        report.left_out[SKIPPED] += waits.pop(letter.partition, 0)
    if delivery is not None:
        delivery.flush()
    report.left_out.update({WAITING: waits.total(), "gone": len(unseen)})
    return report
