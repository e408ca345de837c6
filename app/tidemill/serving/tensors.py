"""Turn the tensors of a V2 request into a model's inputs, and its outputs into tensors.

The Open Inference Protocol V2 defines them: https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidemill.inference.model import ModelSpec

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
# The V2 data types of JSON Schema's types.
DATATYPES = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "string": BYTES}
INPUT = "input"  # the name of the only input of a model without named fields

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
    name, size = f"tensor {tensor.name[:100]!r}", math.prod(tensor.shape)
    if tensor.datatype != BYTES and tensor.datatype not in FORMATS:
        known = ", ".join([*FORMATS, BYTES])
        raise InvalidRequest(f"{name}: there is no datatype {tensor.datatype[:40]!r}; use {known}")
    if not tensor.shape or tensor.shape[0] < 0 or any(size < 1 for size in tensor.shape[1:]):
        raise InvalidRequest(f"{name}: {tensor.shape[:9]} is no shape")
    if len(tensor.data) != size:
        raise InvalidRequest(f"{name}: {len(tensor.data)} elements do not fill {tensor.shape[:9]}")
    kinds = {BYTES: (str,), "BOOL": (bool,)}.get(
        tensor.datatype, (int, float) if tensor.datatype.startswith("FP") else (int,)
    )
    for element in tensor.data:
        wrong = isinstance(element, bool) and tensor.datatype != "BOOL"
        # A null stands for a missing value. Only JSON can carry it.
        if element is not None and (wrong or not isinstance(element, kinds)):
            raise InvalidRequest(f"{name}: {element!r:.60} is no {tensor.datatype}")
    if tensor.datatype != BYTES:
        present = [element for element in tensor.data if element is not None]
        try:
            struct.pack(f"<{len(present)}{FORMATS[tensor.datatype]}", *present)
        except (struct.error, OverflowError) as error:
            raise InvalidRequest(f"{name}: a number is no {tensor.datatype}: {error}") from None
    return tensor


def unpack(datatype: str, content: bytes | memoryview) -> list[Any]:
    """Return the elements of a tensor's binary form.

    Raises:
        InvalidRequest: The bytes are no such tensor.

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
        raise InvalidRequest(f"binary data is no {datatype[:40]}: {error}") from None
    return elements


def pack(tensor: Tensor) -> bytes:
    """Return a tensor's binary form."""
    if tensor.datatype == BYTES:
        encoded = [element.encode() for element in tensor.data]
        return b"".join(LENGTH.pack(len(each)) + each for each in encoded)
    return struct.pack(f"<{len(tensor.data)}{FORMATS[tensor.datatype]}", *tensor.data)


def to_inputs(spec: ModelSpec, tensors: Sequence[Tensor], fields: Iterable[str] = ()) -> list[str]:
    """Return a model's inputs: one for each row of the tensors, that is, of their first dimension.

    - A model of texts takes one tensor of BYTES.
    - Several tensors, or one that has the name of a field, are columns: a row is an object.
    - Any other tensor of BYTES has a JSON text for each row, and one of numbers an array.

    Raises:
        InvalidRequest: The tensors do not suit the model.

    """
    if not tensors:
        raise InvalidRequest("`inputs` has no tensor")
    first = tensors[0]
    is_column = len(tensors) > 1 or first.name in set(fields)
    if spec.is_text and (len(tensors) > 1 or first.datatype != BYTES or None in first.data):
        raise InvalidRequest(f"{spec.id} takes texts: send one tensor of BYTES without nulls")
    if spec.is_text or (first.datatype == BYTES and not is_column):
        if len(first.data) != first.shape[0]:
            raise InvalidRequest(f"{first.shape[:9]} has more than one text in a row")
        return [_encode(None) if text is None else text for text in first.data]
    rows = {tensor.shape[0] for tensor in tensors}
    if len(rows) > 1:
        raise InvalidRequest(f"the tensors have {sorted(rows)[:9]} rows, but must have as many")
    columns = [_rows(tensor) for tensor in tensors]
    if not is_column:
        return [_encode(row) for row in columns[0]]
    names = [tensor.name for tensor in tensors]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise InvalidRequest(f"several tensors have the name {repeated[0][:100]!r}")
    return [_encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def to_outputs(name: str, outputs: Sequence[str], schema: Json | None) -> list[Tensor]:
    """Return outputs, which are JSON texts, as tensors.

    If the schema is that of a number, a boolean, a text, or an object of such fields, and the
    tensors can hold exactly the values that there are, they have its types. Otherwise one tensor of
    BYTES has the JSON texts.
    """
    count = len(outputs)
    if types := _types(name, schema):
        values = [msgspec.json.decode(output) for output in outputs]
        is_object = (schema or {}).get("type") == "object"
        rows = values if is_object else [{name: value} for value in values]
        columns = {column: [row.get(column) for row in rows] for column in types}
        if all(row.keys() <= types.keys() for row in rows) and all(
            _fits(types[column], value) for column, data in columns.items() for value in data
        ):
            return [
                Tensor(name=column, datatype=types[column], shape=[count], data=data)
                for column, data in columns.items()
            ]
    return [Tensor(name=name, datatype=BYTES, shape=[count], data=list(outputs))]


def describe(name: str, schema: Json | None) -> list[Json]:
    """Return the tensors of a schema as a model's metadata lists them."""
    types = _types(name, schema) or {name: BYTES}
    return [
        {"name": column, "datatype": datatype, "shape": [-1]} for column, datatype in types.items()
    ]


def fields_of(schema: Json | None) -> dict[str, Any]:
    """Return the fields of an object's schema. A schema may also be `true` or `false`."""
    fields = schema.get("properties") if isinstance(schema, dict) else None
    return fields if isinstance(fields, dict) else {}


def _types(name: str, schema: Json | None) -> dict[str, str]:
    """Return the data type of each column; none if the schema has values of other kinds."""
    columns = fields_of(schema) or {name: schema}
    kinds = {column: each.get("type") for column, each in columns.items() if isinstance(each, dict)}
    types = {
        column: DATATYPES[kind]
        for column, kind in kinds.items()
        if isinstance(kind, str) and kind in DATATYPES
    }
    return types if len(types) == len(columns) else {}


def _fits(datatype: str, value: object) -> bool:
    """Tell whether a tensor can hold a value: not null, and a number without loss of digits."""
    match value:
        case bool():
            return datatype == "BOOL"
        case str():
            return datatype == BYTES
        case int():
            limit = {"INT64": 2**63, "FP64": 2**53}.get(datatype, 0)
            return -limit <= value < limit
        case float():
            return datatype == "FP64"
    return False


def _rows(tensor: Tensor) -> list[Any]:
    """Return the rows of a tensor: elements, or nested lists of them."""
    rows = tensor.data
    for size in reversed(tensor.shape[1:]):
        rows = [rows[start : start + size] for start in range(0, len(rows), size)]
    return rows


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()
