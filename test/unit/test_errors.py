from __future__ import annotations

import pytest

from tidemill.errors import describe


class Mute(Exception):
    """An exception that fails to print itself."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no words")


class TestDescribe:
    """An exception in one line, whatever it is."""

    @pytest.mark.parametrize(
        ("cause", "said"),
        [
            (ValueError("bad"), "ValueError: bad"),
            (ValueError(), "ValueError"),
            (KeyError("a"), "KeyError: 'a'"),
            (Mute(), "Mute: (it does not print)"),
        ],
    )
    def test_described(self, cause: Exception, said: str) -> None:
        """Its type comes first."""
        assert describe(cause) == said
