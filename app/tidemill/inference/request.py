"""Define the engine's values: a Request goes in, an Output comes out."""

from __future__ import annotations

import msgspec

from tidemill.errors import TidemillError
from tidemill.inference.model import ModelSpec


class Request(msgspec.Struct, frozen=True):
    """One input for one model, from any door; None stands for the model's own sample.

    `time` is that of the input's record, in milliseconds since the epoch; None if it has none.
    """

    spec: ModelSpec
    input: str | None
    time: int | None = None


class Output(msgspec.Struct, frozen=True):
    """What a model made of one input.

    Attributes:
        result: The output, one JSON value as text without white space; or the error instead. A
            MessageError blames the input. Any other error means that the model is down, and blames
            no input: the caller decides whether to retry, to fail or to answer with the error.
        span: The start and the end of the call to `predict_all`, in seconds since the epoch.
        features: The generation of each table whose features completed the input; None unless the
            entry looks features up.

    """

    result: str | TidemillError
    span: tuple[float, float]
    features: dict[str, int] | None = None
