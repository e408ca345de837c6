"""Read and write V2 requests in JSON, with the binary data extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from tidemill.errors import InvalidRequest
from tidemill.serving import tensors
from tidemill.serving.v2_messages import InferRequest

if TYPE_CHECKING:
    from tidemill.serving.v2_messages import InferResponse

# The length of the JSON before the binary data, in bytes.
HEADER_LENGTH = "inference-header-content-length"
BINARY_SIZE, BINARY_OUTPUT, ALL_BINARY = "binary_data_size", "binary_data", "binary_data_output"
# Of a length; Python refuses to read thousands.
MAX_DIGITS = 20

_DECODER = msgspec.json.Decoder(InferRequest)
_ENCODER = msgspec.json.Encoder()


def decode(body: bytes, header_length: str | None = None) -> InferRequest:
    """Return the request in a body.

    Raises:
        InvalidRequest: There is none.

    """
    content = memoryview(body)
    if header_length is not None:
        is_short = header_length.isdecimal() and len(header_length) <= MAX_DIGITS
        if not (is_short and int(header_length) <= len(body)):
            raise InvalidRequest(f"{HEADER_LENGTH} must be a length within the body")
        content = content[: int(header_length)]
    try:
        request = _DECODER.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(error) from None
    rest = memoryview(body)[len(content) :]
    for tensor in request.inputs:
        size = tensor.parameters.get(BINARY_SIZE)
        if size is None:
            tensor.data = tensors.flatten(tensor.data)
            continue
        if type(size) is not int or not 0 <= size <= len(rest):
            raise InvalidRequest(f"tensor {tensor.name[:100]!r}: {BINARY_SIZE} exceeds the body")
        tensor.data = tensors.unpack(tensor.datatype, rest[:size])
        rest = rest[size:]
    if len(rest):
        raise InvalidRequest(f"{len(rest)} bytes of binary data belong to no tensor")
    return request


def encode(request: InferRequest, response: InferResponse) -> tuple[bytes, int | None]:
    """Return the body of a response, and the length of its JSON if binary data follows."""
    wanted = {each.name: each.parameters.get(BINARY_OUTPUT) for each in request.outputs}
    everything = bool(request.parameters.get(ALL_BINARY))
    parts, outputs = [], []
    for tensor in response.outputs:
        binary = wanted.get(tensor.name)
        if everything if binary is None else binary:
            parts.append(tensors.pack(tensor))
            size = {BINARY_SIZE: len(parts[-1])}
            outputs.append(structs.replace(tensor, data=msgspec.UNSET, parameters=size))
        else:
            outputs.append(tensor)
    head = _ENCODER.encode(structs.replace(response, outputs=outputs))
    return b"".join([head, *parts]), len(head) if parts else None
