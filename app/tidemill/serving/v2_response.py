"""Make the response of a V2 request from the answers to its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.errors import InvalidRequest, TidemillError
from tidemill.serving import rows, tensors
from tidemill.serving.status import problem
from tidemill.serving.tensors import Tensor
from tidemill.serving.v2_messages import VARIANT, InferRequest, InferResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.models.pool.outputs import Description
    from tidemill.serving.service import Answer

# How many outputs an error suggests.
MAX_LISTED = 9
# The outputs with the model and, for `json`, the variant of each row, if rows have different ones.
MODEL_TENSOR, VARIANT_TENSOR = "tidemill.model", "tidemill.variant"


def respond(
    request: InferRequest,
    name: str,
    spec: ModelSpec,
    described: Description,
    answers: Sequence[Answer],
) -> InferResponse:
    """Return the response; `name` is the model's unless all rows have the same one.

    Raises:
        InvalidRequest: The request asks for an output that there is not.

    """
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
    read = [each.features for each in answers]
    if read and read[0] is not None and all(each == read[0] for each in read):
        parameters["features"] = msgspec.json.encode(read[0]).decode()
    return InferResponse(
        model_name=name,
        model_version=version,
        id=request.id,
        parameters=parameters,
        outputs=requested(request, outputs),
    )


def requested(request: InferRequest, outputs: list[Tensor]) -> list[Tensor]:
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
