"""Define the engine's values: a Request goes in, an Output comes out."""

from __future__ import annotations

import msgspec

from tidemill.errors import TidemillError
from tidemill.inference.model import ModelSpec


class Request(msgspec.Struct, frozen=True):
    """One input for one model, from any door; None stands for the model's own sample."""

    spec: ModelSpec
    input: str | None


class Output(msgspec.Struct, frozen=True):
    """What a model made of one input.

    Attributes:
        result: The output, one JSON value as text without white space; or the error instead. A
            MessageError blames the input. Any other error means that the model is down, and blames
            no input: the caller decides whether to retry, to fail or to answer with the error.
        span: The start and the end of the call to `predict_all`, in seconds since the epoch.

    """

    result: str | TidemillError
    span: tuple[float, float]
