"""Encode outputs, with their errors, as a frame of `child.py`, and decode them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill import errors
from tidemill.errors import TidemillError, rebuild
from tidemill.errors.base import trace
from tidemill.inference.request import Output
from tidemill.models.isolation import child

if TYPE_CHECKING:
    from collections.abc import Sequence

ERRORS = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, TidemillError)
}


def encode(outputs: Sequence[Output], usage_version: int = 0) -> bytes:
    """Return a frame: each output's span in seconds, its text, and its error if it has one.

    `usage_version` is that of the pool's usage of its models.
    """
    failed = {
        str(index): _describe(output.result)
        for index, output in enumerate(outputs)
        if isinstance(output.result, TidemillError)
    }
    texts = [output.result if isinstance(output.result, str) else "" for output in outputs]
    spans = [output.span for output in outputs]
    return child.encode({"spans": spans, "errors": failed, "usage_version": usage_version}, texts)


def decode(reply: child.Message, texts: Sequence[str]) -> list[Output]:
    """Return the outputs in a frame."""
    failed = {int(index): _rebuild(error) for index, error in reply["errors"].items()}
    return [
        Output(failed.get(index, text), (start, end))
        for index, (text, (start, end)) in enumerate(zip(texts, reply["spans"], strict=True))
    ]


def _describe(error: TidemillError) -> child.Message:
    # An error's class may be our own subclass that is not public.
    name = next(base.__name__ for base in type(error).__mro__ if base.__name__ in ERRORS)
    return {
        "class": name,
        "text": str(error),
        "notes": getattr(error, "__notes__", []),
        "cause": None if error.__cause__ is None else trace(error.__cause__),
    }


def _rebuild(error: child.Message) -> TidemillError:
    return rebuild(ERRORS[error["class"]], error["text"], error["notes"], error["cause"])
