from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest
from specs import make_spec

from tidemill.errors import InputTooLong, InvalidOutput, MissingExtra, WrongOutputCount
from tidemill.inference.batch import predict_checked, to_message_error
from tidemill.models.isolation import child, replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.errors import TidemillError

SPEC = make_spec()


class Mute(Exception):
    """An exception that does not print itself."""

    def __str__(self) -> str:
        """Raise."""
        raise RuntimeError


class InvalidJson(Exception):
    """A model's own exception, with the name of one of ours."""


class Raising:
    """Raise an exception."""

    def __init__(self, cause: BaseException) -> None:
        """Take the exception."""
        self._cause = cause

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Raise it."""
        raise self._cause


class Returning:
    """Return whatever it was given."""

    def __init__(self, outputs: object) -> None:
        """Take the outputs."""
        self._outputs = outputs

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return them."""
        return self._outputs  # type: ignore[return-value]


def reply_of(model: object) -> child.Message:
    """Return a model's reply for two inputs, through a socket."""
    ours, theirs = socket.socketpair()
    with theirs, ours:
        server = threading.Thread(target=child.serve, args=(theirs, lambda *_: model))
        server.start()
        child.send(ours, replies.load_request(SPEC))
        child.receive(ours)
        child.send(ours, replies.predict_request(SPEC, ["a", "b"]))
        reply, _ = child.receive(ours)
        ours.shutdown(socket.SHUT_RDWR)
        server.join()
    return reply


def error_of(model: object) -> TidemillError:
    """Return the error of a model for two inputs, through a socket."""
    error = replies.error_of(SPEC, reply_of(model))
    assert error is not None
    return error


class Own(InvalidOutput):
    """A subclass that another process may not have."""


class TestSameError:
    """An error that a process reports equals the one that its model raises here."""

    @pytest.mark.parametrize(
        "make",
        [
            lambda: ValueError("two\n lines, and a lone \ud800"),
            lambda: KeyError("a"),
            MemoryError,
            lambda: SystemExit(1),
            Mute,
            lambda: InvalidJson("not ours"),
            lambda: InputTooLong(3, 2),
            lambda: InvalidOutput("it  is bad", "a  b\nc"),
            lambda: Own("by a model's author"),
            lambda: MissingExtra("spacy", "spacy"),
        ],
    )
    def test_exception(self, make: Callable[[], BaseException]) -> None:
        """Its class and text are the same, and its traceback is that of the model."""
        error = error_of(Raising(make()))
        assert repr(error) == repr(to_message_error(make()))
        assert "in predict_all" in str(error.__cause__) or isinstance(make(), Mute)

    @pytest.mark.parametrize("outputs", [[], ("a",), ["a", "b", "c"], {}, None, "ab", iter(())])
    def test_outputs(self, outputs: object) -> None:
        """A wrong count, and what is no list, are named alike."""
        with pytest.raises(WrongOutputCount) as caught:
            predict_checked(Returning(outputs), ["a", "b"])
        assert repr(error_of(Returning(outputs))) == repr(caught.value)

    def test_reusable(self) -> None:
        """Only a MemoryError makes a process useless."""
        assert replies.is_reusable(reply_of(Raising(ValueError())))
        assert not replies.is_reusable(reply_of(Raising(MemoryError())))
        assert replies.is_reusable(reply_of(Returning([])))
