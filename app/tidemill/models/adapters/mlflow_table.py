"""Build what an MLflow model takes, a table or arrays, and take apart what it returns.

A column has the same type in every batch, whether or not the batch has nulls in it, so that equal
inputs give equal outputs. So a column of integers that may be null has a nullable type, and a
column that is missing is full of nulls.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from tidemill import extras
from tidemill.models import outputs, signature, tables, typed_arrays

with extras.required():
    import numpy as np
    import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.models.signature import Spec

# The types of columns that may have nulls, and of those that must not. Other columns hold objects.
NULLABLE = {
    "boolean": pd.BooleanDtype(),
    "integer": pd.Int32Dtype(),
    "long": pd.Int64Dtype(),
    "float": np.dtype("float32"),
    "double": np.dtype("float64"),
}
REQUIRED = NULLABLE | {
    "boolean": np.dtype("bool"),
    "integer": np.dtype("int32"),
    "long": np.dtype("int64"),
}


def build(specs: Sequence[Spec], rows: list[Any]) -> Any:  # noqa: ANN401 - what the model takes
    """Return a DataFrame; for tensors an array, or a dictionary of arrays if they have names.

    Raises:
        InvalidInput: A value is not of the type in the signature.
        TypeError, ValueError, LookupError: A row is not as the signature says.

    """
    names = [spec.get("name", place) for place, spec in enumerate(specs)]
    is_one_value = len(specs) == 1 and "name" not in specs[0]
    if specs[0]["type"] == "tensor":
        if is_one_value:
            return _array(specs[0], rows)
        return {
            name: _array(spec, [row[name] for row in rows])
            for name, spec in zip(names, specs, strict=True)
        }
    cells = {0: rows} if is_one_value else tables.by_column(rows, names)
    types = {_type(spec) for spec in specs}
    if len(types) == 1 and isinstance(dtype := types.pop(), np.dtype):
        table = typed_arrays.block({name: cells[name] for name in names}, dtype)
        return pd.DataFrame(table.T, columns=names, copy=False)
    columns = {name: _column(spec, cells[name]) for name, spec in zip(names, specs, strict=True)}
    return pd.DataFrame(columns, copy=False)


def rows(specs: Sequence[Spec], result: Any) -> Any:  # noqa: ANN401 - what the model returns
    """Return the outputs of the rows: a dictionary of columns, as of ONNX, becomes dictionaries.

    The only output of a graph has a name even if the signature gives it none.
    """
    if not isinstance(result, dict):
        return result
    columns = {name: outputs.rows(values) for name, values in result.items()}
    if len(columns) == len(specs) == 1 and "name" not in specs[0]:
        return columns.popitem()[1]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _array(spec: Spec, values: list[Any]) -> Any:  # noqa: ANN401 - an array of numpy
    return typed_arrays.typed(values, spec["tensor-spec"]["dtype"], spec.get("name", "the input"))


def _type(spec: Spec) -> Any:  # noqa: ANN401 - a type of numpy or pandas
    """Return the type of a column; None if it holds objects."""
    types = REQUIRED if signature.is_required(spec) else NULLABLE
    return types.get(spec["type"])


def _column(spec: Spec, values: list[Any]) -> Any:  # noqa: ANN401 - an array of numpy or pandas
    dtype, kind = _type(spec), spec["type"]
    if dtype is not None:
        return typed_arrays.column(values, dtype, spec.get("name", "the input"))
    if kind == "datetime":
        return pd.to_datetime(values, format="ISO8601", utc=True).tz_localize(None)
    if kind == "binary":
        values = [None if value is None else b64decode(value, validate=True) for value in values]
    return pd.Series(values, dtype=object)
