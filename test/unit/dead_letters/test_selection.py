from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.dead_letters.letters import DeadLetter
from tidemill.dead_letters.selection import Selection, choose, read_place, read_time
from tidemill.errors import InvalidSelection

LETTER = DeadLetter(
    partition=1,
    offset=42,
    timestamp=1000,
    key=None,
    value=None,
    headers=(),
    error="NoModel",
    source_topic="in",
    model="m:1",
    tries=2,
)
NOW = 1_700_000_000.0


class TestTakes:
    """A letter is selected if it meets every condition."""

    @pytest.mark.parametrize(
        "choice",
        [
            {},
            {"errors": frozenset({"NoModel", "InvalidJson"})},
            {"source": "in"},
            {"model": "m:1"},
            {"since": 1000, "until": 1000},
            {"max_tries": 3},
            {"places": frozenset({(1, 42), (0, 0)})},
        ],
    )
    def test_taken(self, choice: dict[str, Any]) -> None:
        """Time bounds are inclusive."""
        assert Selection(**choice).matches(LETTER)

    @pytest.mark.parametrize(
        "choice",
        [
            {"errors": frozenset({"InvalidJson"})},
            {"source": "other"},
            {"model": "m:2"},
            {"since": 1001},
            {"until": 999},
            {"max_tries": 2},
            {"places": frozenset({(42, 1)})},
            {"source": "in", "model": "m:2"},
        ],
    )
    def test_not_taken(self, choice: dict[str, Any]) -> None:
        """One unmet condition excludes a letter."""
        assert not Selection(**choice).matches(LETTER)


class TestTime:
    """A time is ISO 8601, or an age."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T22:13:20.123", 1_700_000_000_123),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
            ("2023-11-14", 1_699_920_000_000),
            ("1969-01-01", 0),
            ("30s", 1_699_999_970_000),
            ("15m", 1_699_999_100_000),
            ("2h", 1_699_992_800_000),
            ("3d", 1_699_740_800_000),
            ("1w", 1_699_395_200_000),
            ("99999999d", 0),
        ],
    )
    def test_read(self, text: str, expected: int) -> None:
        """The result is in milliseconds since the epoch; times without a zone are UTC."""
        assert read_time(text, NOW) == expected

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "3", "3 d", "-3d", "3y", "1.5h", "2023-13-01", "٣d"]
    )
    def test_wrong(self, text: str) -> None:
        """Anything else is an error that explains the format."""
        with pytest.raises(InvalidSelection, match="is not a time\nhint: Write 2026"):
            read_time(text, NOW)

    @given(st.text() | st.from_regex(r"\d+[smhdw]", fullmatch=True))
    def test_any(self, text: str) -> None:
        """Any text gives a time not before the epoch, or that error."""
        with contextlib.suppress(InvalidSelection):
            assert read_time(text, NOW) >= 0


class TestPlace:
    """A place is a partition and an offset."""

    def test_read(self) -> None:
        """They are separated by a slash."""
        assert read_place("3/42") == (3, 42)

    @pytest.mark.parametrize("text", ["", "3", "3/", "/3", "-1/3", "3/4/5", "a/b", "1/" + "9" * 20])
    def test_wrong(self, text: str) -> None:
        """Anything else is an error that explains the format."""
        with pytest.raises(InvalidSelection, match="PARTITION/OFFSET"):
            read_place(text)


class TestChoose:
    """Command-line options become a selection."""

    def test_words(self) -> None:
        """Each option has its field."""
        assert choose(
            now=NOW,
            errors=["NoModel", "InvalidJson"],
            source="in",
            model="m:1",
            since="30s",
            until="2023-11-14T22:13:20Z",
            max_tries=3,
            places=["0/1"],
        ) == Selection(
            frozenset({"NoModel", "InvalidJson"}),
            "in",
            "m:1",
            1_699_999_970_000,
            1_700_000_000_000,
            3,
            frozenset({(0, 1)}),
        )

    @pytest.mark.parametrize(
        ("words", "hint"),
        [
            ({"errors": ["nomodel"]}, "Did you mean NoModel?"),
            ({"errors": ["PredictionFail"]}, "Did you mean PredictionFailed?"),
            ({"errors": ["zzz"]}, "There are NullValue, InvalidUtf8"),
            ({"model": "ner-en"}, "Write NAME:VERSION"),
            ({"since": "1h", "until": "2h"}, "It ends before it begins"),
        ],
    )
    def test_nothing_could_match(self, words: dict[str, Any], hint: str) -> None:
        """A selection that can match no letter is an error."""
        with pytest.raises(InvalidSelection, match=re.escape(hint)):
            choose(now=NOW, **words)

    def test_none(self) -> None:
        """Without options, all letters are selected."""
        assert choose(now=NOW) == Selection()
