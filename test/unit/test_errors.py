from __future__ import annotations

import inspect
import pickle
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill import errors
from tidemill.errors import ConfigurationError, MessageError, TidemillError, base, describe


class Mute(Exception):
    """An exception that fails to print itself."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no words")


class TestDescribe:
    """An exception in one line, whatever it is."""

    @pytest.mark.parametrize(
        ("cause", "text"),
        [
            (ValueError("bad"), "ValueError: bad"),
            (ValueError("two\n lines"), "ValueError: two lines"),
            (ValueError(), "ValueError"),
            (KeyError("a"), "KeyError: 'a'"),
            (Mute(), "Mute: (it does not print)"),
        ],
    )
    def test_described(self, cause: Exception, text: str) -> None:
        """Its type comes first."""
        assert describe(cause) == text


def leaves() -> list[type[TidemillError]]:
    """Return the classes that compose their own text."""
    found = [leaf for leaf in vars(errors).values() if isinstance(leaf, type)]
    return [
        leaf
        for leaf in found
        if issubclass(leaf, TidemillError)
        and leaf is not TidemillError
        and "__init__" in vars(leaf)
    ]


LONG = st.text(max_size=400)
ARGUMENTS: dict[Any, st.SearchStrategy[Any]] = {
    "str": LONG,
    "object": LONG,
    "str | None": st.none() | LONG,
    "int": st.integers(),
    "int | None": st.none() | st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "float | None": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "BaseException": st.builds(ValueError, LONG) | st.builds(Mute),
    "UnicodeDecodeError": st.just(UnicodeDecodeError("utf-8", b"\xff\xfe", 0, 1, "invalid")),
    "Iterable[str]": st.lists(LONG, min_size=1, max_size=4),
    "Iterable[Problem]": st.lists(st.builds(errors.Problem, LONG, LONG), min_size=1, max_size=3),
    "Sequence[str]": st.lists(LONG, max_size=4),
    "Iterable[tuple[str, str, str]]": st.lists(st.tuples(LONG, LONG, LONG), min_size=1, max_size=3),
    "tuple[str, int]": st.tuples(LONG, st.integers()),
    "dict[str, str]": st.dictionaries(LONG, LONG, max_size=3),
}


@st.composite
def any_error(draw: st.DrawFn) -> TidemillError:
    """Build an error of any class with any arguments of the right types."""
    leaf = draw(st.sampled_from(leaves()))
    given_by_name = {}
    given = []
    for parameter in list(inspect.signature(leaf).parameters.values()):
        is_advice = parameter.name in {"advice", "hint", "remedy"}
        value = draw(st.just("Do this.") if is_advice else ARGUMENTS[parameter.annotation])
        if parameter.kind is parameter.KEYWORD_ONLY:
            given_by_name[parameter.name] = value
        else:
            given.append(value)
    return leaf(*given, **given_by_name)


class TestMessageAndHint:
    """Every error has a short message, and loses nothing."""

    @given(any_error())
    def test_short(self, error: TidemillError) -> None:
        """The message is one line of at most 160 characters, the hint one line."""
        assert len(error.message) <= base.MAX_MESSAGE == 160
        for text in (error.message, error.hint):
            assert text == " ".join(text.split())

    @given(any_error())
    def test_nothing_is_lost(self, error: TidemillError) -> None:
        """What the message has no room for is in the hint, or in the list of problems."""
        text = " ".join(str(error).split())
        assert error.message == text or text in error.hint or error.problems

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_several_problems(self, count: int) -> None:
        """The message has the first; with several, each is on a line of its own."""
        problems = [f"topic {number} is missing" for number in range(count)]
        topics = [errors.Problem(problem) for problem in problems]
        error = pickle.loads(pickle.dumps(errors.InvalidTopics(topics)))  # noqa: S301 - ours
        listed = f"{count} problems" if count > 1 else problems[0]
        assert error.message == f"the topics do not fit: {listed}"
        assert error.problems == (problems if count > 1 else [])

    @given(any_error())
    def test_says_what_to_do(self, error: TidemillError) -> None:
        """Only what is wrong with a message, which goes into a header, comes without a hint."""
        assert isinstance(error, MessageError) or error.hint

    @given(any_error())
    def test_travels(self, error: TidemillError) -> None:
        """Pickling keeps the class, the text and the hint."""
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - ours
        assert type(copy) is type(error)
        assert (str(copy), copy.message, copy.hint) == (str(error), error.message, error.hint)

    @given(any_error())
    def test_traceback(self, error: TidemillError) -> None:
        """A traceback ends with the hint and the problems, for the driver to read."""
        if not isinstance(error, MessageError):
            lines = traceback.format_exception_only(error)
            hint = lines[-1 - len(error.problems)]
            assert hint.startswith("hint: ")

    def test_every_class_is_tried(self) -> None:
        """Each class that is exported has a strategy for each of its arguments."""
        assert len(leaves()) > 60
        for leaf in leaves():
            for parameter in inspect.signature(leaf).parameters.values():
                assert parameter.annotation in ARGUMENTS, (leaf, parameter)

    def test_documented(self) -> None:
        """The page of errors takes its text from the classes."""
        assert [leaf for leaf in leaves() if not leaf.__doc__] == []


class TestKinds:
    """The three branches do not overlap."""

    def test_apart(self) -> None:
        """No error is both a wrong configuration and a wrong message."""
        both = (ConfigurationError, MessageError)
        assert not [leaf for leaf in leaves() if all(issubclass(leaf, kind) for kind in both)]
