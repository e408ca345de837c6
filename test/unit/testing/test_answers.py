"""How far two answers are apart."""

from __future__ import annotations

import math

import pytest

from tidemill.testing.answers import Answer, distance, failed, judge


def output(text: str) -> Answer:
    """Return an answer with this output."""
    return judge(text)


class TestDistance:
    """Equal texts are 0 apart, numbers by their difference, and anything else infinitely."""

    @pytest.mark.parametrize(
        ("one", "other", "expected"),
        [
            ('{"a": 1}', '{"a":1}', 0.0),
            ("0.5", "0.75", 0.25),
            ("5e2", "1e3", 0.5),
            ("1", "1.5", 0.5 / 1.5),
            ("1", "1.0", 0.0),
            ("-0.0", "0.0", 0.0),
            ('{"a": [0.5, {"b": 0.1}]}', '{"a": [0.25, {"b": 0.1}]}', 0.25),
            ('{"a": 0.5, "b": 1}', '{"b": 1, "a": 0.5}', 0.0),
            ("1e999", "1e999", 0.0),
            ("1", "2", math.inf),
            ("true", "1.0", math.inf),
            ("true", "1", math.inf),
            ("null", "0.0", math.inf),
            ('"0.5"', "0.5", math.inf),
            ("[0.5]", "[0.5, 0.5]", math.inf),
            ('{"a": 0.5}', '{"b": 0.5}', math.inf),
            ("[1, 0.5]", "[2, 0.5]", math.inf),
            ("9" * 5000, "9" * 5000 + ".0", 0.0),
            ("9" * 5000, "8" * 5000, math.inf),
        ],
    )
    def test_apart(self, one: str, other: str, expected: float) -> None:
        """In both directions."""
        assert distance(output(one), output(other)) == pytest.approx(expected)
        assert distance(output(other), output(one)) == pytest.approx(expected)

    def test_kinds(self) -> None:
        """An output and an exception have nothing in common."""
        raised = failed(ValueError("0.5"))
        assert distance(output("0.5"), raised) == math.inf
        assert distance(raised, raised) == 0


class TestAnswers:
    """An answer says what came of an input."""

    def test_white_space(self) -> None:
        """JSON has none between its parts, as in results."""
        assert output('{"a" : "b c"}') == Answer("json", '{"a":"b c"}')

    @pytest.mark.parametrize("wrong", [{"a": 1}, None, b"1", "", "1 2", "NaN"])
    def test_invalid(self, wrong: object) -> None:
        """What is not one JSON value is shown, and says why."""
        answer = judge(wrong)
        assert answer.kind == "invalid"
        assert answer.text.startswith(repr(wrong))

    def test_place(self) -> None:
        """An exception names the line that raised it."""
        with pytest.raises(LookupError) as caught:
            raise LookupError("nothing")
        answer = failed(caught.value)
        assert answer.kind == "raised"
        assert answer.text.startswith(f"LookupError: nothing ({__file__}:")
