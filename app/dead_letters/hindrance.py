"""Why a dead letter is not sent again; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from app.dead_letters.letters import DeadLetter
    from app.dead_letters.position import Position
    from app.dead_letters.selection import Selection
    from app.settings import StreamSettings


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What is said of it; where it `holds`, the letter was meant and waits for a later replay."""

    said: str
    holds: bool = False


FOREIGN = Hindrance("no dead letters of Tidemill")
NOT_NAMED = Hindrance("not named")
NOT_CHOSEN = Hindrance(
    "not chosen; --send passes over those before the last chosen one (--again takes them too)"
)
EARLIER = Hindrance("replayed or passed over earlier (--again takes them too)")
OMITTED = Hindrance("hold no message: it did not fit, and is at its source only")
NO_SOURCE = Hindrance("do not say where they came from")


def hindrance(
    letter: DeadLetter,
    selection: Selection,
    position: Position | None,
    stream: StreamSettings,
    partitions: Mapping[str, Container[int]],
) -> Hindrance | None:
    """Return what keeps a letter from being sent, or None.

    Without a position nothing counts as replayed. `partitions` are those of the topics that exist.
    """
    if not selection.takes(letter):
        if replace(selection, max_tries=None).takes(letter):
            return Hindrance(f"replayed {selection.max_tries} times or more already (--max-tries)")
        return NOT_NAMED if selection.places else NOT_CHOSEN
    if position is not None and position.passed(letter.offset):
        return EARLIER
    return unsendable(letter, stream, partitions)


def unsendable(
    letter: DeadLetter, stream: StreamSettings, partitions: Mapping[str, Container[int]]
) -> Hindrance | None:
    """Return why nobody could send a letter to where it came from, or None.

    Only topics that the settings' job reads are sent to: others have no job to answer, and a forged
    dead letter could name any.
    """
    if letter.omitted is not None:
        return OMITTED
    topic, partition = letter.source_topic, letter.source_partition
    if topic is None or partition is None:
        return NO_SOURCE
    if not is_input(stream, topic):
        return Hindrance(f"came from {topic}, which is no input of these settings (section stream)")
    if topic not in partitions:
        return Hindrance(f"the topic {topic} is gone (or no right to see it)", holds=True)
    if partition not in partitions[topic]:
        return Hindrance(f"partition {partition} of {topic} is gone", holds=True)
    return None


def is_input(stream: StreamSettings, topic: str) -> bool:
    """Tell whether the job reads a topic."""
    if stream.input_pattern is None:
        return topic in stream.input_topics
    own = {stream.output_topic, stream.dead_letter_topic}
    return topic not in own and re.fullmatch(stream.input_pattern, topic) is not None
