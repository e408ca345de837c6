from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.inference.malformed import describe_json_error

# What JSON consists of, in any order.
PIECES = st.lists(
    st.sampled_from(
        [*'{}[],:"\\ \n\t\0', "1", "-", ".", "e9", "true", "nul", "NaN", '"a"', "\\u00", "é"]
    )
    | st.characters(),
    max_size=8,
).map("".join)


class TestReason:
    """A reason is given in words, with its position."""

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "it is empty"),
            (" \r\n\t", "it is empty"),
            ("ham", "expected a value, found 'ham' at line 1, column 1"),
            ("{'a': 1}", "there are single quotes instead of double quotes at line 1, column 2"),
            ('{"a": 1,}', "there is a trailing comma before '}' at line 1, column 9"),
            ("[1 , ]", "there is a trailing comma before ']' at line 1, column 6"),
            ('{"a" 1}', "expected a colon, found '1' at line 1, column 6"),
            ('{"a": 1\n "b": 2}', "expected a comma, found '\"' at line 2, column 2"),
            ('{"a": True}', "expected a value, found 'True' at line 1, column 7"),
            ("{a: 1}", "expected a field's name in double quotes, found 'a' at line 1, column 2"),
            ('{"a": NaN}', "NaN is not JSON"),
            ("-Infinity", "-Infinity is not JSON"),
            ("{} {}", "there is text after the end, '{' at line 1, column 4"),
            ('{"a": "b', "it ends within the string that begins at line 1, column 7"),
            ('{"a": [1', "unexpected end of input at line 1, column 9"),
            ('{"a": "b\nc"}', "the control character U+000A is not escaped at line 1, column 9"),
            ('"\\x"', "invalid \\escape at line 1, column 2"),
            ('"\\ud83d"', "it contains an unpaired surrogate (such as \\ud83d alone)"),
            ("\0\0\0\0\x07{}", "it begins with a zero byte, as messages written for a schema"),
            ("\ufeff{}", "expected a value, found '\\ufeff' at line 1, column 1"),
            ("[" * 100_000, "it is nested too deeply"),
        ],
    )
    def test_words(self, text: str, reason: str) -> None:
        """It names the problem, the line and the column."""
        assert (describe_json_error(text) or "").startswith(reason)

    @pytest.mark.parametrize(
        "text", ["{}", " 1 ", "1e999", "9" * 10_000, '"\\ud83d\\ude00"', "[[]]"]
    )
    def test_json(self, text: str) -> None:
        """JSON has no reason."""
        assert describe_json_error(text) is None

    @given(PIECES)
    @example("1\x0b")
    def test_never_silent(self, text: str) -> None:
        """Exactly the refused texts have a reason, and it is one line."""
        reason = describe_json_error(text)
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except ValueError:
            assert reason
            assert reason.isprintable()
        else:
            assert reason is None
