from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.dead_letters.hindrance import EARLIER, NOT_CHOSEN, NOT_NAMED, hindrance
from app.dead_letters.letters import DeadLetter
from app.dead_letters.position import Position
from app.dead_letters.selection import Selection
from app.settings import StreamSettings

LETTER = DeadLetter(0, 5, 0, None, b"v", (), "NoModel", source_topic="in", source_partition=1)
STREAM = StreamSettings(input_topics=("in", "gone"))
PARTITIONS = {"in": {0, 1}, "ner-output": {0}}


def found(
    selection: Selection = Selection(),  # noqa: B008 - frozen
    position: Position | None = None,
    stream: StreamSettings = STREAM,
    **changes: Any,  # noqa: ANN401 - a letter's fields
) -> tuple[str, bool] | None:
    """Return what is said of the letter with changes, and whether it holds."""
    letter = replace(LETTER, **changes)
    it = hindrance(letter, selection, position, stream, PARTITIONS)
    return (it.said, it.holds) if it else None


class TestHindrance:
    """What is not sent has one reason."""

    def test_none(self) -> None:
        """A letter that is chosen and not dealt with is sent."""
        assert found() is None
        assert found(position=Position(5)) is None

    def test_earlier(self) -> None:
        """What is before the position, or noted, was dealt with."""
        assert found(position=Position(6)) == (EARLIER.said, False)
        assert found(position=Position(0, frozenset({5}))) == (EARLIER.said, False)

    def test_not_chosen(self) -> None:
        """What is not chosen is said to be so before all else."""
        choice = Selection(errors=frozenset({"InvalidJson"}))
        assert found(choice, Position(6)) == (NOT_CHOSEN.said, False)
        assert found(Selection(places=frozenset({(0, 6)}))) == (NOT_NAMED.said, False)

    def test_tries(self) -> None:
        """What was tried too often is told from what was not chosen."""
        said, holds = found(Selection(max_tries=2), tries=2) or ("", True)
        assert said.startswith("replayed 2 times or more already")
        assert not holds

    @pytest.mark.parametrize(
        ("changes", "said", "holds"),
        [
            ({"omitted": "key and value"}, "hold no message", False),
            ({"source_topic": None}, "do not say where they came from", False),
            ({"source_partition": None}, "do not say where they came from", False),
            ({"source_topic": "payments"}, "came from payments, which is no input", False),
            ({"source_topic": "ner-output"}, "came from ner-output, which is no input", False),
            ({"source_topic": "gone"}, "the topic gone is gone", True),
            ({"source_partition": 2}, "partition 2 of in is gone", True),
        ],
    )
    def test_unsendable(self, changes: dict[str, Any], said: str, holds: bool) -> None:
        """Only what may come back holds the position."""
        it = found(**changes)
        assert it is not None
        assert said in it[0]
        assert it[1] is holds

    def test_pattern(self) -> None:
        """A pattern of inputs never admits what the job writes."""
        stream = StreamSettings(input_pattern=".*n.*")
        assert found(stream=stream) is None
        assert found(stream=stream, source_topic="payments") is not None
        assert found(stream=stream, source_topic="ner-output") is not None
