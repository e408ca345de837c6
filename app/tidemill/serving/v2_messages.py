"""Define V2's inference requests and responses, however they are written."""

from __future__ import annotations

from typing import Any

import msgspec

from tidemill.serving import offload
from tidemill.serving.tensors import Tensor

# Parameters of a request: the key of an A/B test, and the variant to use whatever the key is.
KEY, VARIANT = "key", "variant"
# Another one: whether each row is a JSON text, of inputs and of outputs.
JSON = "json"


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
