from __future__ import annotations

import pytest

from app import errors
from app.errors import ConfigurationError, MessageError, TidemillError, describe


class TestTree:
    """Every error has its place in one tree."""

    def test_one_root(self) -> None:
        """All are Tidemill's."""
        for leaf in vars(errors).values():
            assert not isinstance(leaf, type) or issubclass(leaf, TidemillError)

    def test_branches(self) -> None:
        """None is both what a restart cannot mend and a wrong message."""
        for leaf in vars(errors).values():
            if isinstance(leaf, type):
                assert not (issubclass(leaf, ConfigurationError) and issubclass(leaf, MessageError))


class TestKind:
    """What a restart cannot mend is told from what it may."""

    @pytest.mark.parametrize("leaf", [errors.AccessRefused, errors.NoValueColumn])
    def test_wrong_configuration(self, leaf: type) -> None:
        """Refused credentials and a frame without values stay as they are."""
        assert issubclass(leaf, ConfigurationError)

    @pytest.mark.parametrize(
        "leaf", [errors.ModelLoadFailed, errors.JavaEnded, errors.TimestampUnreadable]
    )
    def test_fault(self, leaf: type) -> None:
        """A disk, memory or a record may be another time."""
        assert issubclass(leaf, TidemillError)
        assert not issubclass(leaf, ConfigurationError | MessageError)


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
