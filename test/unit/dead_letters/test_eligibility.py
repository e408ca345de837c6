from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill.dead_letters.eligibility import (
    DONE_EARLIER,
    NAMED_BUT_EXCLUDED,
    NOT_NAMED,
    NOT_SELECTED,
    WAITING,
    ineligibility,
)
from tidemill.dead_letters.letters import DeadLetter
from tidemill.dead_letters.position import ReplayProgress
from tidemill.dead_letters.selection import Selection
from tidemill.kafka.topics import Topic
from tidemill.settings import StreamSettings

LETTER = DeadLetter(0, 5, 0, None, b"v", (), "NoModel", source_topic="in", source_partition=1)
STREAM = StreamSettings(input_topics=("in", "gone"))
INTERNAL = Topic(50, is_internal=True)
TOPICS = {"in": Topic(2), "ner-output": Topic(1), "__internal": INTERNAL}


def reason(
    selection: Selection = Selection(),  # noqa: B008 - frozen
    position: ReplayProgress | None = None,
    stream: StreamSettings = STREAM,
    **changes: Any,  # noqa: ANN401 - a letter's fields
) -> str | None:
    """Return the reason not to send the letter with these changes."""
    return ineligibility(replace(LETTER, **changes), selection, position, stream, TOPICS)


class TestIneligibility:
    """A letter that is not sent has one reason."""

    def test_none(self) -> None:
        """A selected letter that is not yet replayed is sent."""
        assert reason() is None
        assert reason(position=ReplayProgress(5)) is None

    def test_earlier(self) -> None:
        """A letter before the position, or in a done range, was replayed or skipped."""
        assert reason(position=ReplayProgress(6)) == DONE_EARLIER
        assert reason(position=ReplayProgress(0, (range(5, 6),))) == DONE_EARLIER

    def test_not_chosen(self) -> None:
        """Not being selected is the first reason."""
        choice = Selection(errors=frozenset({"InvalidJson"}))
        assert reason(choice, ReplayProgress(6)) == NOT_SELECTED
        assert reason(choice, ReplayProgress(5)) == WAITING
        assert reason(Selection(places=frozenset({(0, 6)}))) == NOT_NAMED
        both = replace(choice, places=frozenset({(0, 5)}))
        assert reason(both) == NAMED_BUT_EXCLUDED

    def test_tries(self) -> None:
        """Too many tries are another reason than not being selected."""
        text = reason(Selection(max_tries=2), tries=2)
        assert text is not None
        assert text.startswith("replayed 2 times or more already")

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"omitted": "key and value"}, "without the message"),
            ({"source_topic": None}, "without the name of their source topic"),
            ({"source_partition": None}, "without the name of their source topic"),
            ({"source_topic": "payments"}, "from payments, which is not an input"),
            ({"source_topic": "ner-output"}, "from ner-output, which is not an input"),
            ({"source_topic": "gone"}, "the topic gone is gone"),
            ({"source_partition": 2}, "partition 2 of in is gone"),
        ],
    )
    def test_unsendable(self, changes: dict[str, Any], expected: str) -> None:
        """A letter without a valid source is left out, with the reason."""
        assert expected in (reason(**changes) or "")

    def test_pattern(self) -> None:
        """An input pattern never includes the job's own topics, or Kafka's."""
        stream = StreamSettings(input_pattern=".*n.*")
        assert reason(stream=stream) is None
        assert reason(stream=stream, source_topic="payments") is not None
        assert reason(stream=stream, source_topic="ner-output") is not None
        assert reason(stream=stream, source_topic="__internal") is not None
