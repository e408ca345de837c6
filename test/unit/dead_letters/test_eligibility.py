from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill.dead_letters.eligibility import (
    EARLIER,
    NAMED_YET_LEFT_OUT,
    NOT_CHOSEN,
    NOT_NAMED,
    WAITS,
    hindrance,
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


def found(
    selection: Selection = Selection(),  # noqa: B008 - frozen
    position: ReplayProgress | None = None,
    stream: StreamSettings = STREAM,
    **changes: Any,  # noqa: ANN401 - a letter's fields
) -> str | None:
    """Return what is said of the letter with changes."""
    return hindrance(replace(LETTER, **changes), selection, position, stream, TOPICS)


class TestHindrance:
    """What is not sent has one reason."""

    def test_none(self) -> None:
        """A letter that is chosen and not dealt with is sent."""
        assert found() is None
        assert found(position=ReplayProgress(5)) is None

    def test_earlier(self) -> None:
        """What is before the position, or noted, was dealt with."""
        assert found(position=ReplayProgress(6)) == EARLIER
        assert found(position=ReplayProgress(0, (range(5, 6),))) == EARLIER

    def test_not_chosen(self) -> None:
        """What is not chosen is said to be so before all else."""
        choice = Selection(errors=frozenset({"InvalidJson"}))
        assert found(choice, ReplayProgress(6)) == NOT_CHOSEN
        assert found(choice, ReplayProgress(5)) == WAITS
        assert found(Selection(places=frozenset({(0, 6)}))) == NOT_NAMED
        both = replace(choice, places=frozenset({(0, 5)}))
        assert found(both) == NAMED_YET_LEFT_OUT

    def test_tries(self) -> None:
        """What was tried too often is told from what was not chosen."""
        said = found(Selection(max_tries=2), tries=2)
        assert said is not None
        assert said.startswith("replayed 2 times or more already")

    @pytest.mark.parametrize(
        ("changes", "said"),
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
    def test_unsendable(self, changes: dict[str, Any], said: str) -> None:
        """What has nowhere to go is left out, with the reason."""
        assert said in (found(**changes) or "")

    def test_pattern(self) -> None:
        """A pattern of inputs never admits what the job writes."""
        stream = StreamSettings(input_pattern=".*n.*")
        assert found(stream=stream) is None
        assert found(stream=stream, source_topic="payments") is not None
        assert found(stream=stream, source_topic="ner-output") is not None
        assert found(stream=stream, source_topic="__internal") is not None
