"""Read and write V2 requests in protocol buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.errors import InvalidRequest
from tidemill.protocol import open_inference_grpc_pb2 as pb
from tidemill.serving import tensors
from tidemill.serving.tensors import Tensor
from tidemill.serving.v2_messages import InferRequest, RequestedOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.serving.v2_messages import InferResponse

# The field of `contents` that holds the elements of each data type.
CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    tensors.BYTES: "bytes_contents",
}


def decode(message: pb.ModelInferRequest) -> InferRequest:
    """Return the request in a message.

    Raises:
        InvalidRequest: There is none.

    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidRequest(f"{len(raw)} raw contents for {len(message.inputs)} tensors")
    if raw and (both := [each.name for each in message.inputs if each.HasField("contents")]):
        raise InvalidRequest(f"tensor {both[0][:100]!r} has `contents` besides the raw ones")
    return InferRequest(
        id=message.id or None,
        parameters=_parameters(message.parameters),
        inputs=[
            Tensor(
                name=tensor.name,
                datatype=tensor.datatype,
                shape=list(tensor.shape),
                data=tensors.unpack(tensor.datatype, raw[index]) if raw else _elements(tensor),
            )
            for index, tensor in enumerate(message.inputs)
        ],
        outputs=[RequestedOutput(name=output.name) for output in message.outputs],
    )


def encode(response: InferResponse, *, raw: bool) -> pb.ModelInferResponse:
    """Return the message of a response; with `raw`, as its request, in binary form."""
    message = pb.ModelInferResponse(
        model_name=response.model_name,
        model_version=response.model_version,
        id=response.id or "",
    )
    for name, value in response.parameters.items():
        kind = {bool: "bool_param", int: "int64_param"}.get(type(value), "string_param")
        setattr(message.parameters[name], kind, value)
    for tensor in response.outputs:
        output = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        for name, value in tensor.parameters.items():
            output.parameters[name].string_param = value
        if raw:
            message.raw_output_contents.append(tensors.pack(tensor))
        else:
            data = tensor.data
            if tensor.datatype == tensors.BYTES:
                data = [element.encode() for element in data]
            getattr(output.contents, CONTENTS[tensor.datatype]).extend(data)
    return message


def _elements(tensor: pb.ModelInferRequest.InferInputTensor) -> list[Any]:
    """Return the elements of a tensor; an unknown data type has none, and is refused later."""
    field = CONTENTS.get(tensor.datatype)
    elements = list(getattr(tensor.contents, field)) if field else []
    if tensor.datatype != tensors.BYTES:
        return elements
    try:
        return [element.decode() for element in elements]
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"tensor {tensor.name[:100]!r} is not UTF-8: {error}") from None


def _parameters(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    found = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        found[name] = None if kind is None else getattr(parameter, kind)
    return found
