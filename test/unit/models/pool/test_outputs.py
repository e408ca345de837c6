from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import (
    InvalidModels,
    MessageError,
    ModelCrashed,
    ModelLoadFailed,
    ModelMisconfigured,
    ModelUnavailable,
    PredictionFailed,
    TidemillError,
    WrongOutputCount,
    trace,
)
from tidemill.inference.request import Output
from tidemill.models.isolation import child
from tidemill.models.pool import outputs

ERRORS: list[TidemillError] = [
    PredictionFailed(ValueError("no\nnumber")),
    WrongOutputCount(2, "dict"),
    ModelCrashed(-11),
    ModelUnavailable("m:1", "down"),
    ModelLoadFailed("m:1", OSError("no disk")),
    ModelMisconfigured("m:1", "a:B", ImportError("no a"), "Install a."),
    InvalidModels("models.yaml", "first", "second"),
]
TEXT = st.text(st.characters(codec=None, categories=None))  # also lone surrogates
SPAN = st.tuples(*[st.floats(0, 2e9)] * 2)
OUTPUT = st.builds(Output, TEXT | st.sampled_from(ERRORS), SPAN)


def sent(values: list[Output]) -> list[Output]:
    """Return outputs as the other end of a connection gets them."""
    here, there = socket.socketpair()
    with here, there:
        child.send(here, outputs.encode(values))
        return outputs.decode(*child.receive(there))


def facts(output: Output) -> tuple[object, ...]:
    """Return what an output says."""
    error = output.result
    if isinstance(error, str):
        return error, output.span
    cause = None if error.__cause__ is None else trace(error.__cause__)
    return type(error), str(error), error.message, error.hint, error.problems, cause, output.span


@given(st.lists(OUTPUT, max_size=20))
def test_round_trip(values: list[Output]) -> None:
    """Outputs arrive as they were sent."""
    assert list(map(facts, sent(values))) == list(map(facts, values))


@pytest.mark.parametrize("name", sorted(outputs.ERRORS))
def test_every_error(name: str) -> None:
    """Each public class of error arrives as itself."""
    error = outputs.ERRORS[name].__new__(outputs.ERRORS[name], "text")
    (arrived,) = sent([Output(error, (0.0, 0.0))])
    assert type(arrived.result) is outputs.ERRORS[name]


def test_cause() -> None:
    """The traceback of the exception that a model raised arrives."""
    with pytest.raises(ValueError, match="abc") as raised:
        float("abc")
    error = ModelUnavailable("m:1", "down")
    error.__cause__ = raised.value
    (arrived,) = sent([Output(error, (0.0, 0.0))])
    assert isinstance(arrived.result, TidemillError)
    assert "test_outputs.py" in trace(arrived.result.__cause__ or ValueError())


def test_private_subclass() -> None:
    """An error whose class is not public arrives as its public base class."""

    class Own(MessageError):
        pass

    (arrived,) = sent([Output(Own("odd"), (0.0, 0.0))])
    assert type(arrived.result) is MessageError
    assert str(arrived.result) == "odd"
