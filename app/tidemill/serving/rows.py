"""Turn the tensors of a V2 request into a model's inputs, and its outputs into tensors."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tidemill.errors import InvalidInput, InvalidRequest
from tidemill.inference.malformed import describe_json_error
from tidemill.serving.tensors import BYTES, Json, Tensor, flatten

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tidemill.inference.model import ModelSpec

# The V2 data types of JSON Schema's types.
DATATYPES = {"boolean": "BOOL", "integer": "INT64", "number": "FP64", "string": BYTES}
AS_JSON = {"content_type": "json"}
INPUT = "input"  # the name of the only input of a model without named fields
MAX_DEPTH = 8  # of arrays in arrays
_RAW = msgspec.json.Decoder(msgspec.Raw)


class Kind(NamedTuple):
    """What a column holds: its data type, and how deeply its values are nested in arrays."""

    datatype: str
    depth: int = 0


def to_inputs(
    spec: ModelSpec, tensors: Sequence[Tensor], fields: Mapping[str, Any] = MappingProxyType({})
) -> list[str | InvalidInput]:
    """Return a model's inputs: one for each row of the tensors, that is, of their first dimension.

    `fields` are the schemas of the model's fields.

    - A model of texts takes one tensor of BYTES.
    - Several tensors, or one that has the name of a field or of a key to look up, are columns: a
      row is an object. A column of shape `[n, 1]` has a value for each row, unless the field is an
      array.
    - Any other tensor of BYTES has a JSON text for each row, and one of numbers an array. A text
      that is not JSON becomes an error.

    Raises:
        InvalidRequest: The tensors do not suit the model.

    """
    if not tensors:
        raise InvalidRequest("`inputs` has no tensor")
    first = tensors[0]
    keys = {name for lookup in spec.lookup for name in lookup.key}
    is_column = len(tensors) > 1 or first.name in fields or first.name in keys
    if spec.is_text and (len(tensors) > 1 or first.datatype != BYTES or None in first.data):
        raise InvalidRequest(f"{spec.id} takes texts: send one tensor of BYTES without nulls")
    if spec.is_text or (first.datatype == BYTES and not is_column):
        if len(first.data) != first.shape[0]:
            raise InvalidRequest(f"{first.shape[:9]} has more than one text in a row")
        return [*first.data] if spec.is_text else [_json_text(text) for text in first.data]
    rows = {tensor.shape[0] for tensor in tensors}
    if len(rows) > 1:
        raise InvalidRequest(f"the tensors have {sorted(rows)[:9]} rows, but must have as many")
    if not is_column:
        return [_encode(row) for row in _rows(first)]
    columns = [_column(tensor, fields.get(tensor.name)) for tensor in tensors]
    names = [tensor.name for tensor in tensors]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise InvalidRequest(f"several tensors have the name {repeated[0][:100]!r}")
    return [_encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def to_outputs(
    name: str, outputs: Sequence[str], schema: Json | None, failed: Collection[int] = ()
) -> list[Tensor]:
    """Return outputs, which are JSON texts, as tensors.

    If the schema is that of a number, a boolean, a text, an array of numbers or booleans, or an
    object of such fields, there is a tensor for each. Its type is that of the schema, if it can
    hold exactly the values that there are; the arrays must be as long as one another. Otherwise it
    has JSON texts, and the parameter `content_type` says so. For other schemas one tensor of BYTES
    has the outputs as they are.

    `failed` has the indexes of outputs that are errors. Each tensor has them as they are, and so
    has JSON texts.
    """
    whole = [Tensor(name=name, datatype=BYTES, shape=[len(outputs)], data=list(outputs))]
    kinds = _kinds(name, schema)
    if not kinds:
        return whole
    values = [{} if n in failed else msgspec.json.decode(text) for n, text in enumerate(outputs)]
    rows = values if fields_of(schema) else [{name: value} for value in values]
    if not all(isinstance(row, dict) and row.keys() <= kinds.keys() for row in rows):
        return whole
    tensors = []
    for field, kind in kinds.items():
        data = [row.get(field) for row in rows]
        if failed:
            texts = [outputs[n] if n in failed else _encode(value) for n, value in enumerate(data)]
            tensors.append(_json_texts(field, texts))
        else:
            tensors.append(column(field, kind, data))
    return tensors


def column(name: str, kind: Kind | None, data: Sequence[Any]) -> Tensor:
    """Return values as a tensor of a kind; as JSON texts if there is none, or it does not fit."""
    if kind is not None:
        shape, elements = _shape(data, kind.depth + 1), flatten(data)
        if shape and all(_fits(kind.datatype, value) for value in elements):
            return Tensor(name=name, datatype=kind.datatype, shape=[*shape], data=elements)
    return _json_texts(name, [_encode(value) for value in data])


def _json_texts(name: str, texts: list[str]) -> Tensor:
    return Tensor(name=name, datatype=BYTES, shape=[len(texts)], data=texts, parameters=AS_JSON)


def describe(name: str, schema: Json | None) -> list[Json]:
    """Return the tensors of a schema as a model's metadata lists them."""
    kinds = _kinds(name, schema) or {name: Kind(BYTES)}
    return [
        {"name": column, "datatype": datatype, "shape": [-1] * (depth + 1)}
        for column, (datatype, depth) in kinds.items()
    ]


def fields_of(schema: Json | None) -> dict[str, Any]:
    """Return the fields of an object's schema. A schema may also be `true` or `false`."""
    fields = schema.get("properties") if isinstance(schema, dict) else None
    return fields if isinstance(fields, dict) else {}


def _kinds(name: str, schema: Json | None) -> dict[str, Kind]:
    """Return the kind of each column; none if the schema has values of other kinds."""
    columns = fields_of(schema) or {name: schema}
    kinds = {column: kind for column, each in columns.items() if (kind := _kind(each))}
    return kinds if len(kinds) == len(columns) else {}


def _kind(schema: Any) -> Kind | None:  # noqa: ANN401 - JSON
    """Return the kind of a column with a schema. In an array, texts might be JSON."""
    for depth in range(MAX_DEPTH):
        kind = schema.get("type") if isinstance(schema, dict) else None
        if isinstance(kind, str) and kind in DATATYPES and (kind != "string" or depth == 0):
            return Kind(DATATYPES[kind], depth)
        if kind != "array":
            break
        schema = schema.get("items")
    return None


def _shape(value: object, depth: int) -> tuple[int, ...] | None:
    """Return the shape of lists nested so deeply; None if they are not, or not equally long."""
    if not isinstance(value, list):
        return None if depth else ()
    shapes = {_shape(each, depth - 1) for each in value} if depth else {None}
    if not shapes:
        return (0,) * depth
    inner = shapes.pop()
    return None if shapes or inner is None else (len(value), *inner)


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


def _column(tensor: Tensor, schema: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Return a field's value for each row."""
    is_array = isinstance(schema, dict) and schema.get("type") == "array"
    return tensor.data if tensor.shape[1:] == [1] and not is_array else _rows(tensor)


def _rows(tensor: Tensor) -> list[Any]:
    """Return the rows of a tensor: elements, or nested lists of them."""
    rows = tensor.data
    for size in reversed(tensor.shape[1:]):
        rows = [rows[start : start + size] for start in range(0, len(rows), size)]
    return rows


def _json_text(text: str | None) -> str | InvalidInput:
    """Return the JSON text in a row, or the error that it is none."""
    if text is None:
        return _encode(None)
    try:
        _RAW.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return InvalidInput(f"must be a JSON text: {describe_json_error(text) or error}")
    return text


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()
