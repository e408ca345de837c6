"""Read V2 requests whose rows are JSON texts, whatever the model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import InvalidInput, InvalidRequest
from tidemill.serving import plain
from tidemill.serving.tensors import BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.serving.tensors import Tensor

_RAW = msgspec.json.Decoder(msgspec.Raw)


def to_inputs(spec: ModelSpec, tensors: Sequence[Tensor]) -> list[str | InvalidInput]:
    """Return a model's inputs: one for each row, as in a plain request.

    Raises:
        InvalidRequest: There is not one tensor of JSON texts.

    """
    forms = [(each.datatype, each.shape[1:]) for each in tensors]
    if forms not in ([(BYTES, [])], [(BYTES, [1])]):
        raise InvalidRequest("with `json`, send one tensor of BYTES with a JSON text in each row")
    return [_input(spec, text) for text in tensors[0].data]


def _input(spec: ModelSpec, text: str | None) -> str | InvalidInput:
    try:
        return plain.to_input(spec, _RAW.decode(text or ""))
    except (msgspec.MsgspecError, RecursionError) as error:
        return InvalidInput(f"must be a JSON text: {error}")
