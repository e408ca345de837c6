"""Answer V2 inference requests; HTTP and gRPC differ only in how a request is written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tidemill.errors import InvalidRequest
from tidemill.models.pool.outputs import Description
from tidemill.serving import json_rows, offload, plain, rows, tensors
from tidemill.serving.v2_messages import KEY, VARIANT
from tidemill.serving.v2_models import describe
from tidemill.serving.v2_response import respond

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.errors import MessageError
    from tidemill.inference.model import ModelSpec
    from tidemill.serving.catalogue import Target
    from tidemill.serving.models import Models
    from tidemill.serving.service import Service
    from tidemill.serving.v2_messages import InferRequest, InferResponse

# Outputs without a schema are one tensor of JSON texts.
NO_SCHEMAS = Description(None, None, None)


async def infer(
    service: Service,
    models: Models,
    target: Target,
    request: InferRequest,
    *,
    seconds: float | None = None,
) -> InferResponse:
    """Answer a request.

    If some of its rows fail, the outputs are of BYTES, with JSON texts: an object with the key
    `error` in the places of those that failed. If all fail, the error of the first is raised;
    with the parameter `json`, only if it blames no input.

    Raises:
        TidemillError: The request cannot be answered; `status` says what that means.

    """
    service.check_items(max((each.shape[0] for each in request.inputs if each.shape), default=0))
    allowed, start = service.allowed(seconds), time.monotonic()
    if request.is_json:
        spec, described = target.specs[0], NO_SCHEMAS
    else:
        spec, described = await service.within(allowed, describe(models, target))
    fields = None if request.is_json else rows.fields_of(described.input_schema)
    is_large = sum(len(each.data) for each in request.inputs) >= offload.LARGE_COUNT
    inputs = await offload.call(is_large, _inputs, spec, request, fields)
    answers = await service.predict(
        target,
        inputs,
        key=_text(request.parameters, KEY),
        force=_text(request.parameters, VARIANT),
        seconds=allowed - (time.monotonic() - start),
    )
    plain.raise_if_all_failed(answers, unless_blamed=request.is_json)
    texts = (each.result for each in answers if isinstance(each.result, str))
    is_large = sum(map(len, texts)) >= offload.LARGE_BYTES
    name = target.route.name
    return await offload.call(is_large, respond, request, name, spec, described, answers)


def _inputs(
    spec: ModelSpec, request: InferRequest, fields: dict[str, Any] | None
) -> Sequence[str | MessageError]:
    """Return the inputs of a request; without `fields`, of one with the parameter `json`.

    Raises:
        InvalidRequest: The tensors do not suit the model, or are not one of JSON texts.

    """
    some = [tensors.check(each) for each in request.inputs]
    return json_rows.to_inputs(spec, some) if fields is None else rows.to_inputs(spec, some, fields)


def _text(parameters: dict[str, Any], name: str) -> str | None:
    """Return a parameter that must be text.

    Raises:
        InvalidRequest: It is something else.

    """
    value = parameters.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequest(f"the parameter {name!r} must be text, not {type(value).__name__}")
