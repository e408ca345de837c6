"""Why a dead letter is not sent again; pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from tidemill.dead_letters.letters import DeadLetter
    from tidemill.dead_letters.position import Position
    from tidemill.dead_letters.selection import Selection
    from tidemill.settings import StreamSettings


FOREIGN = "no dead letters of Tidemill"
NOT_NAMED = "not named"
NAMED_YET_LEFT_OUT = "named, but left out by the other options"
NOT_CHOSEN = "not chosen, and dealt with earlier"
WAITS = "not chosen: they wait"
PASSED_OVER = (
    "not chosen, and before the last chosen one: --send passes over them (--again takes them too)"
)
EARLIER = "replayed or passed over earlier (--again takes them too)"
OMITTED = "hold no message: it did not fit, and is at its source only"
AGAIN = "--again takes them where it is back"
NO_SOURCE = "do not say where they came from"


def hindrance(
    letter: DeadLetter,
    selection: Selection,
    position: Position | None,
    stream: StreamSettings,
    partitions: Mapping[str, Container[int]],
) -> str | None:
    """Return what keeps a letter from being sent, or None.

    Without a position nothing counts as replayed. `partitions` are those of the topics that exist.
    """
    if not selection.takes(letter):
        if replace(selection, max_tries=None).takes(letter):
            return f"replayed {selection.max_tries} times or more already (--max-tries)"
        if selection.places:
            named = (letter.partition, letter.offset) in selection.places
            return NAMED_YET_LEFT_OUT if named else NOT_NAMED
        return NOT_CHOSEN if position and position.passed(letter.offset) else WAITS
    if position is not None and position.passed(letter.offset):
        return EARLIER
    return unsendable(letter, stream, partitions)


def unsendable(
    letter: DeadLetter, stream: StreamSettings, partitions: Mapping[str, Container[int]]
) -> str | None:
    """Return why nobody could send a letter to where it came from, or None.

    Only topics that the settings' job reads are sent to: others have no job to answer, and a forged
    dead letter could name any. Where its topic or partition is gone it waits for nothing: that may
    never come back, or have been made up.
    """
    if letter.omitted is not None:
        return OMITTED
    topic, partition = letter.source_topic, letter.source_partition
    if topic is None or partition is None:
        return NO_SOURCE
    if not is_input(stream, topic):
        return f"came from {topic}, which is no input of these settings (section stream)"
    if topic not in partitions:
        return f"the topic {topic} is gone, or no right to see it ({AGAIN})"
    if partition not in partitions[topic]:
        return f"partition {partition} of {topic} is gone ({AGAIN})"
    return None


def is_input(stream: StreamSettings, topic: str) -> bool:
    """Tell whether the job reads a topic."""
    if stream.input_pattern is None:
        return topic in stream.input_topics
    own = {stream.output_topic, stream.dead_letter_topic}
    return topic not in own and re.fullmatch(stream.input_pattern, topic) is not None
