"""Read the requests that MLflow's clients send to `/invocations`.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally describes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.errors import InvalidRequest
from tidemill.inference.malformed import describe_json_error
from tidemill.serving.plain import PlainRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    # A row of a request: a JSON value, or its columns.
    Row: TypeAlias = Raw | list[Raw] | dict[str, Raw]

# The field of a response with the outputs.
PREDICTIONS = "predictions"


class Split(msgspec.Struct):
    """A table: its rows, and the names of its columns, which `index` and other fields follow."""

    data: list[list[Raw]]
    columns: list[str] | UnsetType = UNSET


class Params(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters that the server knows; they choose the variant of an A/B test."""

    key: str | None = None
    variant: str | None = None


# Made now: msgspec crashes if two threads are the first to decode a type.
_SPLITS = msgspec.json.Decoder(Split)
_PARAMS = msgspec.json.Decoder(Params | None)


def decode(body: bytes, *, is_text: bool) -> PlainRequest:
    """Return the request in a body, for a model of texts or of JSON values.

    A row is one input. Of a row with one column, a model of texts gets the text.

    Raises:
        InvalidRequest: There is none.

    """
    try:
        fields = msgspec.json.decode(body.decode(), type=dict[str, Raw])
        given = [name for name in READERS if name in fields]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise InvalidRequest(f"it must have one of {', '.join(READERS)}, but has {found}")
        rows = READERS[given[0]](fields[given[0]])
        params = _params(fields.get("params", Raw(b"null")))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(describe_json_error(body.decode(errors="replace")) or error) from None
    inputs = [_input(index, row, is_text=is_text) for index, row in enumerate(rows)]
    return PlainRequest(inputs, params.key, params.variant)


def _params(content: Raw) -> Params:
    """Return the parameters in a JSON text."""
    try:
        return _PARAMS.decode(content) or Params()
    except msgspec.ValidationError as error:
        hint = "Leave out all `params` but `key` and `variant`: models take inputs only."
        raise InvalidRequest(f"params: {error}", hint) from None


def _input(index: int, row: Row, *, is_text: bool) -> Raw:
    """Return the input in a row, as JSON."""
    if isinstance(row, Raw):
        return row
    if not is_text:
        return Raw(msgspec.json.encode(row))
    if len(row) != 1:
        raise InvalidRequest(f"row {index} has {len(row)} columns, but the model takes one text")
    return next(iter(row.values() if isinstance(row, dict) else row))


def _split(content: Raw) -> list[Row]:
    table = _SPLITS.decode(content)
    if table.columns is UNSET:
        return [*table.data]
    for index, row in enumerate(table.data):
        if len(row) != len(table.columns):
            problem = f"row {index} has {len(row)} values for {len(table.columns)} columns"
            raise InvalidRequest(f"dataframe_split: {problem}")
    return [dict(zip(table.columns, row, strict=True)) for row in table.data]


def _records(content: Raw) -> list[Row]:
    return [*msgspec.json.decode(content, type=list[dict[str, Raw]])]


def _instances(content: Raw) -> list[Row]:
    return [*msgspec.json.decode(content, type=list[Raw])]


def _inputs(content: Raw) -> list[Row]:
    """Return the rows of a list, of columns by name, or of a single value."""
    kind: Any = {b"[": list[Raw], b"{": dict[str, Raw]}.get(bytes(content)[:1])
    if kind is None:
        return [content]
    value = msgspec.json.decode(content, type=kind)
    if isinstance(value, list):
        return value
    lists = [bytes(each)[:1] == b"[" for each in value.values()]
    if not any(lists):
        return [value]
    if not all(lists):
        raise InvalidRequest("inputs: some fields are lists and some are not")
    columns = [msgspec.json.decode(each, type=list[Raw]) for each in value.values()]
    if len(lengths := {len(each) for each in columns}) > 1:
        raise InvalidRequest(f"inputs: the columns have {sorted(lengths)[:9]} values")
    return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]


READERS: dict[str, Callable[[Raw], list[Row]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}
