"""A message shows what its reader needs, and not much more."""

from __future__ import annotations

import json

import pytest
from specs import make_spec

from tidemill.testing import failure


class TestShown:
    """Long texts are cut."""

    def test_short(self) -> None:
        """Short ones are whole."""
        assert failure.shown("x" * 200) == "x" * 200

    def test_long(self) -> None:
        """Of long ones the beginning, the end, and the length are shown."""
        text = f"a{'x' * 99_998}z"
        assert failure.shown(text) == f"a{'x' * 99} … {'x' * 99}z (100000 characters)"


class TestDifference:
    """Of two long outputs, the message shows where they differ."""

    def test_short(self) -> None:
        """Short ones are whole."""
        assert failure.from_difference("[1]", "[2]") == ("[1]", "[2]")

    @pytest.mark.parametrize("same", [0, 10, 1000])
    def test_long(self, same: int) -> None:
        """Both begin at the same place, shortly before."""
        one, other = "x" * same + "1" + "y" * 500, "x" * same + "2"
        shown = failure.from_difference(one, other)
        before = "… " + "x" * 30 if same > 30 else "x" * same
        assert shown == (before + "1" + "y" * 500, before + "2")


class TestQuoted:
    """An input is shown so that its reader can copy it into a test."""

    @pytest.mark.parametrize("text", ["Zoë 🌊", "two\nlines", "\0", "\u202eright to left", '"\\'])
    def test_json(self, text: str) -> None:
        """As JSON, in which invisible characters are escaped."""
        quoted = failure.quoted(text)
        assert json.loads(quoted) == text
        assert quoted.isprintable()


class TestRefuse:
    """The message lists facts."""

    def test_many(self) -> None:
        """Of many, the first and the last."""
        facts = [(f"input {number}", "x") for number in range(100)]
        with pytest.raises(pytest.fail.Exception) as caught:
            failure.refuse(make_spec(), "it is wrong", facts, "Correct it.")
        lines = str(caught.value).splitlines()
        assert lines[0] == "m:1: it is wrong"
        assert lines[-1] == "Correct it."
        assert len([line for line in lines if line.startswith("  input")]) == 10
        assert "  …         (90 more)" in lines
