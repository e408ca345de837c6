"""Define the tensors of the Open Inference Protocol V2, and their binary form.

The protocol is at https://github.com/kserve/open-inference-protocol.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import msgspec

from tidemill.errors import InvalidRequest

# The formats of the module `struct`, little-endian, by V2 data type.
FORMATS = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
BYTES = "BYTES"
LENGTH = struct.Struct("<I")
MAX_DIMENSIONS = 32

Json = dict[str, Any]


class Tensor(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A tensor: `data` has its elements in row-major order; elements of BYTES are text."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] = msgspec.field(default_factory=lambda: [])  # noqa: PIE807 - never omitted
    parameters: Json = {}


def flatten(data: object) -> list[Any]:
    """Return the elements of nested lists, in row-major order."""
    if not isinstance(data, list):
        return [data]
    if not any(isinstance(each, list) for each in data):
        return data
    elements, open_lists = [], [iter(data)]  # no recursion, which a hostile body could exhaust
    while open_lists:
        for each in open_lists[-1]:
            if isinstance(each, list):
                open_lists.append(iter(each))
                break
            elements.append(each)
        else:
            open_lists.pop()
    return elements


def check(tensor: Tensor) -> Tensor:
    """Return a tensor whose data has its type and as many elements as its shape.

    Raises:
        InvalidRequest: It has not.

    """
    name = f"tensor {tensor.name[:100]!r}"
    if len(tensor.shape) > MAX_DIMENSIONS:  # their product would take long
        raise InvalidRequest(f"{name}: more than {MAX_DIMENSIONS} dimensions")
    if tensor.datatype != BYTES and tensor.datatype not in FORMATS:
        known = ", ".join([*FORMATS, BYTES])
        raise InvalidRequest(f"{name}: there is no datatype {tensor.datatype[:40]!r}; use {known}")
    if not tensor.shape or tensor.shape[0] < 0 or any(size < 1 for size in tensor.shape[1:]):
        raise InvalidRequest(f"{name}: {tensor.shape[:9]} is not a valid shape")
    if len(tensor.data) != math.prod(tensor.shape):
        raise InvalidRequest(f"{name}: {len(tensor.data)} elements do not fill {tensor.shape[:9]}")
    kinds = {BYTES: (str,), "BOOL": (bool,)}.get(
        tensor.datatype, (int, float) if tensor.datatype.startswith("FP") else (int,)
    )
    for element in tensor.data:
        wrong = isinstance(element, bool) and tensor.datatype != "BOOL"
        # A null stands for a missing value. Only JSON can carry it.
        if element is not None and (wrong or not isinstance(element, kinds)):
            raise InvalidRequest(f"{name}: {element!r:.60} is not a valid {tensor.datatype}")
    if tensor.datatype != BYTES:
        present = [element for element in tensor.data if element is not None]
        try:
            struct.pack(f"<{len(present)}{FORMATS[tensor.datatype]}", *present)
        except (struct.error, OverflowError) as error:
            raise InvalidRequest(f"{name}: not a valid {tensor.datatype}: {error}") from None
    return tensor


def unpack(datatype: str, content: bytes | memoryview) -> list[Any]:
    """Return the elements of a tensor's binary form.

    Raises:
        InvalidRequest: The bytes are not such a tensor.

    """
    content = memoryview(content)
    try:
        if datatype != BYTES:
            width = struct.calcsize("<" + FORMATS[datatype])
            return list(struct.unpack(f"<{len(content) // width}{FORMATS[datatype]}", content))
        elements = []
        while content:
            (length,) = LENGTH.unpack_from(content)
            element = content[LENGTH.size : LENGTH.size + length]
            if len(element) < length:
                raise InvalidRequest(f"an element of {length} bytes is cut off")
            elements.append(str(element, "utf-8"))
            content = content[LENGTH.size + length :]
    except (struct.error, KeyError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"binary data is not valid {datatype[:40]}: {error}") from None
    return elements


def pack(tensor: Tensor) -> bytes:
    """Return a tensor's binary form."""
    if tensor.datatype == BYTES:
        encoded = [element.encode() for element in tensor.data]
        return b"".join(LENGTH.pack(len(each)) + each for each in encoded)
    return struct.pack(f"<{len(tensor.data)}{FORMATS[tensor.datatype]}", *tensor.data)
