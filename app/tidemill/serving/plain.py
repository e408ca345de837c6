"""Answer a plain request: `{"inputs": [...]}` under a model's own path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tidemill.errors import InvalidInput, InvalidRequest, TidemillError, json_type
from tidemill.inference.malformed import describe_json_error
from tidemill.serving.status import problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.serving.catalogue import Target
    from tidemill.serving.service import Answer, Service


class PlainRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A request: the inputs, and what chooses the variant of an A/B test.

    `errors` says what to answer if all inputs fail: the error of the first one, or that of each.
    """

    inputs: list[msgspec.Raw]
    key: str | None = None
    variant: str | None = None
    errors: Literal["first", "each"] = "first"


_DECODER = msgspec.json.Decoder(PlainRequest)
_TEXT = msgspec.json.Decoder(str)


def decode(body: bytes) -> PlainRequest:
    """Return the request in a body.

    Raises:
        InvalidRequest: There is none.

    """
    try:
        return _DECODER.decode(body.decode())  # msgspec does not check the UTF-8 of Raw
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = describe_json_error(body.decode(errors="replace")) or error
        example = 'Send {"inputs": [...]}, and optionally "key" and "variant".'
        raise InvalidRequest(reason, example) from None


async def answer(
    service: Service,
    target: Target,
    request: PlainRequest,
    seconds: float | None = None,
    outputs: str = "outputs",
) -> bytes:
    """Return the body of a response: an output or an error for each input, in the same order.

    They are in the field `outputs`, or in another one.

    Raises:
        TidemillError: The request cannot be answered, or `raise_if_all_failed` raises it.

    """
    service.check_items(len(request.inputs))
    spec = target.specs[0]
    inputs = [to_input(spec, value) for value in request.inputs]
    answers = await service.predict(
        target, inputs, key=request.key, force=request.variant, seconds=seconds
    )
    raise_if_all_failed(answers, unless_blamed=request.errors == "each")
    return msgspec.json.encode({outputs: [_output(each) for each in answers], **_models(answers)})


def raise_if_all_failed(answers: Sequence[Answer], *, unless_blamed: bool = False) -> None:
    """Raise the error of the first answer if all have one; unless it blames the input.

    Raises:
        TidemillError: All have one.

    """
    errors = [each.result for each in answers if isinstance(each.result, TidemillError)]
    is_blamed = unless_blamed and any(error.kind == "message" for error in errors)
    if errors and len(errors) == len(answers) and not is_blamed:
        raise errors[0]


def to_input(spec: ModelSpec, value: msgspec.Raw) -> str | InvalidInput:
    """Return a model's input for a JSON text."""
    if not spec.is_text:
        return bytes(value).decode()
    try:
        return _TEXT.decode(value)
    except msgspec.ValidationError:
        return InvalidInput(f"must be text, not {json_type(bytes(value).decode())}")


def _output(answer: Answer) -> Any:  # noqa: ANN401 - what msgspec encodes
    if isinstance(answer.result, str):
        return msgspec.Raw(answer.result.encode())
    return {"error": problem(answer.result)}


def _models(answers: Sequence[Answer]) -> dict[str, Any]:
    """Name the model, version and variant of all outputs, or of each if they differ."""
    named = [_model(each) for each in answers]
    if not named:
        return {}
    return named[0] if all(each == named[0] for each in named) else {"models": named}


def _model(answer: Answer) -> dict[str, Any]:
    if answer.choice is None:
        return {}
    spec, assignment = answer.choice
    named: dict[str, Any] = {"model": spec.name, "version": spec.version}
    if assignment is not None:
        named["variant"] = assignment.variant
        if assignment.forced:
            named["variant_forced"] = True
    if answer.features is not None:
        named["features"] = answer.features
    return named
