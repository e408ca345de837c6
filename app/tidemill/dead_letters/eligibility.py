"""Decide whether a dead letter is sent again (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tidemill.kafka.topics import is_input

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.dead_letters.position import ReplayProgress
    from tidemill.dead_letters.selection import Selection
    from tidemill.kafka.topics import Topic
    from tidemill.settings import StreamSettings


UNRECOGNISED = "records that Tidemill did not write"
NOT_NAMED = "not named"
NAMED_BUT_EXCLUDED = "named, but excluded by the other options"
NOT_SELECTED = "not selected, and replayed or skipped earlier"
WAITING = "not selected; they keep waiting"
SKIPPED = "not selected, but earlier than a selected one: --send skips them (--again includes them)"
DONE_EARLIER = "replayed or skipped earlier (--again includes them)"
OMITTED = "without the message, which did not fit and exists only in its source topic"
AGAIN = "--again includes them once it is back"
NO_SOURCE = "without the name of their source topic"


def ineligibility(
    letter: DeadLetter,
    selection: Selection,
    position: ReplayProgress | None,
    stream: StreamSettings,
    topics: Mapping[str, Topic],
) -> str | None:
    """Return the reason not to send a letter, or None.

    Without a position, nothing counts as replayed. `topics` are those that exist.
    """
    if not selection.matches(letter):
        if replace(selection, max_tries=None).matches(letter):
            return f"replayed {selection.max_tries} times or more already (--max-tries)"
        if selection.places:
            named = (letter.partition, letter.offset) in selection.places
            return NAMED_BUT_EXCLUDED if named else NOT_NAMED
        return NOT_SELECTED if position and position.passed(letter.offset) else WAITING
    if position is not None and position.passed(letter.offset):
        return DONE_EARLIER
    return unsendable_reason(letter, stream, topics)


def unsendable_reason(
    letter: DeadLetter, stream: StreamSettings, topics: Mapping[str, Topic]
) -> str | None:
    """Return the reason why a letter cannot be sent to its source, or None.

    Send only to input topics of the settings' job: no job answers others, and a forged dead letter
    could name any topic. A letter whose topic or partition is gone does not wait for it, because it
    may never come back, or may be forged.
    """
    if letter.omitted is not None:
        return OMITTED
    topic, partition = letter.source_topic, letter.source_partition
    if topic is None or partition is None:
        return NO_SOURCE
    own = {stream.output_topic, stream.dead_letter_topic}
    if topic in own or not is_input(stream, topic, topics.get(topic)):
        return f"from {topic}, which is not an input topic in these settings"
    if topic not in topics:
        return f"the topic {topic} is gone or not visible to this user ({AGAIN})"
    if partition not in range(topics[topic].partitions):
        return f"partition {partition} of {topic} is gone ({AGAIN})"
    return None
