"""Encode outputs, with their errors, as a frame of `child.py`, and decode them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tidemill import errors
from tidemill.errors import TidemillError, rebuild
from tidemill.errors.base import trace
from tidemill.inference.batch import attributes
from tidemill.inference.request import Output
from tidemill.models.isolation import child

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelLoader, ModelSpec

ERRORS = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, TidemillError)
}


class Description(NamedTuple):
    """A model's sample, which must succeed, and its JSON Schemas; those of its entry win."""

    sample: str | None
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None


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


def encode_description(spec: ModelSpec, load: ModelLoader) -> bytes:
    """Return a frame: an entry's or its model's sample and schemas, or why it does not work."""
    try:
        model = load(spec)
        sample, output_schema = attributes(spec, model)
    except TidemillError as error:
        return child.encode({"error": _describe(error)})
    own = getattr(model, "input_schema", None)
    schema = own if spec.schema is None else spec.schema
    return child.encode(Description(sample, schema, output_schema)._asdict())


def decode_description(reply: child.Message) -> Description:
    """Return the description in a frame.

    Raises:
        TidemillError: The model does not load.

    """
    if "error" in reply:
        raise _rebuild(reply["error"])
    return Description(**{name: reply[name] for name in Description._fields})


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
