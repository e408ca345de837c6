"""Answer V2 inference requests; HTTP and gRPC differ only in how a request is written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill import __version__
from tidemill.errors import InvalidRequest, TidemillError
from tidemill.models.pool.outputs import Description
from tidemill.serving import json_rows, offload, plain, rows, tensors
from tidemill.serving.status import problem
from tidemill.serving.tensors import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.errors import MessageError
    from tidemill.inference.model import ModelSpec
    from tidemill.serving.catalogue import Catalogue, Target
    from tidemill.serving.models import Models
    from tidemill.serving.service import Answer, Service

# Parameters of a request: the key of an A/B test, and the variant to use whatever the key is.
KEY, VARIANT = "key", "variant"
# Another one: whether each row is a JSON text, of inputs and of outputs.
JSON = "json"
# How many outputs an error suggests.
MAX_LISTED = 9
# The outputs with the model and, for `json`, the variant of each row, if rows have different ones.
MODEL_TENSOR, VARIANT_TENSOR = "tidemill.model", "tidemill.variant"
SERVER: dict[str, Any] = {
    "name": "tidemill",
    "version": __version__,
    "extensions": ["model_repository", "binary_tensor_data"],
}
# Outputs without a schema are one tensor of JSON texts.
NO_SCHEMAS = Description(None, None, None)


class RequestedOutput(msgspec.Struct, kw_only=True):
    """An output that a request asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, kw_only=True):
    """A request; without `outputs` it asks for all of them."""

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[Tensor]
    outputs: list[RequestedOutput] = []

    @property
    def is_json(self) -> bool:
        """Tell whether each row is a JSON text."""
        return self.parameters.get(JSON) is True


class InferResponse(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A response; the version is empty if rows have different models."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Tensor]

    @property
    def is_large(self) -> bool:
        """Tell whether it takes long to write."""
        return sum(len(each.data) for each in self.outputs) >= offload.LARGE_COUNT


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
        spec, described = await service.within(allowed, _describe(models, target))
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
    return await offload.call(is_large, _response, request, name, spec, described, answers)


async def _describe(models: Models, target: Target) -> tuple[ModelSpec, Description]:
    """Return one of a target's models that loads, and its sample and schemas.

    Raises:
        TidemillError: None loads.

    """
    errors = []
    for spec in sorted(target.specs, key=models.doubt):
        try:
            return spec, await models.describe(spec)
        except TidemillError as error:
            errors.append(error)
    raise errors[0]


def _inputs(
    spec: ModelSpec, request: InferRequest, fields: dict[str, Any] | None
) -> Sequence[str | MessageError]:
    """Return the inputs of a request; without `fields`, of one with the parameter `json`.

    Raises:
        InvalidRequest: The tensors do not suit the model, or are not one of JSON texts.

    """
    some = [tensors.check(each) for each in request.inputs]
    return json_rows.to_inputs(spec, some) if fields is None else rows.to_inputs(spec, some, fields)


async def metadata(
    service: Service,
    models: Models,
    catalogue: Catalogue,
    name: str,
    version: str | None,
    *,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Return the metadata of a model.

    Raises:
        TidemillError: There is no such model, or it does not load.

    """
    target = catalogue.find(name, version)
    spec, described = await service.within(seconds, _describe(models, target))
    return {
        "name": name,
        "versions": list(catalogue.versions(name)),
        "platform": f"tidemill_{spec.adapter.partition(':')[0]}",
        "inputs": rows.describe(rows.INPUT, None if spec.is_text else described.input_schema),
        "outputs": rows.describe(spec.result, described.output_schema),
    }


async def readiness_problem(
    service: Service, models: Models, target: Target, *, seconds: float | None = None
) -> TidemillError | None:
    """Return why one of a target's models is not ready; None if all are.

    Raises:
        DeadlineExceeded: A model does not answer in time.

    """

    async def first_problem() -> TidemillError | None:
        for spec in target.specs:
            if problem := await models.problem(spec):
                return problem
        return None

    return await service.within(seconds, first_problem())


def index(catalogue: Catalogue, models: Models) -> list[dict[str, str]]:
    """List all models, as Triton's extension `model_repository` does."""
    specs = [variant.spec for route in catalogue.routes for variant in route.variants]
    return [
        {"name": spec.name, "version": spec.version, "state": state, "reason": reason}
        for spec in specs
        for state, reason in [models.state(spec)]
    ]


def _response(
    request: InferRequest,
    name: str,
    spec: ModelSpec,
    described: Description,
    answers: Sequence[Answer],
) -> InferResponse:
    texts = [
        answer.result if isinstance(answer.result, str) else _error(answer.result)
        for answer in answers
    ]
    failed = {n for n, answer in enumerate(answers) if not isinstance(answer.result, str)}
    outputs = rows.to_outputs(spec.result, texts, described.output_schema, failed)
    chosen = [answer.choice for answer in answers]
    distinct = {each and (each.spec.id, each.assignment) for each in chosen}
    parameters: dict[str, Any] = {"failed": len(failed)} if failed else {}
    version = ""
    if len(distinct) == 1 and (one := chosen[0]):
        name, version = one.spec.name, one.spec.version
        if one.assignment:
            parameters[VARIANT] = one.assignment.variant
            if one.assignment.forced:
                parameters["variant_forced"] = True
    elif answers:
        ids = [each.spec.id if each else "" for each in chosen]
        columns = {MODEL_TENSOR: ids}
        if request.is_json:
            assigned = [each and each.assignment for each in chosen]
            columns[VARIANT_TENSOR] = [each.variant if each else "" for each in assigned]
        outputs += [
            Tensor(name=name, datatype=tensors.BYTES, shape=[len(data)], data=data)
            for name, data in columns.items()
        ]
    return InferResponse(
        model_name=name,
        model_version=version,
        id=request.id,
        parameters=parameters,
        outputs=_requested(request, outputs),
    )


def _requested(request: InferRequest, outputs: list[Tensor]) -> list[Tensor]:
    """Return the outputs that a request asks for, in its order."""
    if not request.outputs:
        return outputs
    known = {output.name: output for output in outputs}
    for wanted in request.outputs:
        if wanted.name not in known:
            listed = ", ".join([*known][:MAX_LISTED])
            raise InvalidRequest(f"there is no output {wanted.name[:100]!r}, but {listed}")
    return [known[wanted.name] for wanted in request.outputs]


def _error(error: TidemillError) -> str:
    return msgspec.json.encode({"error": problem(error)}).decode()


def _text(parameters: dict[str, Any], name: str) -> str | None:
    """Return a parameter that must be text.

    Raises:
        InvalidRequest: It is something else.

    """
    value = parameters.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequest(f"the parameter {name!r} must be text, not {type(value).__name__}")
