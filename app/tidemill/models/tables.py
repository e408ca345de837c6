"""Make tables of JSON inputs: a pandas DataFrame, a numpy array, an Arrow table, or typed rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, get_args, get_origin

import msgspec

from tidemill import extras
from tidemill.models import typed_arrays

# The columns' names in order; in a mapping, also the type of each, as the table's library names it.
Columns: TypeAlias = Sequence[str] | Mapping[str, Any]
Maker: TypeAlias = Callable[[Sequence[str], Columns], Any]


def maker(kind: Any) -> Maker:  # noqa: ANN401 - an annotation
    """Return what makes a table from JSON texts, one for each row, and the columns.

    None and `typing.Any` stand for a pandas DataFrame.

    Raises:
        TypeError: There is no such table.

    """
    origin = get_origin(kind) or kind
    package = getattr(origin, "__module__", "").partition(".")[0]
    match package, getattr(origin, "__name__", ""):
        case _ if kind is None or kind is Any:
            return lambda inputs, columns: frame(decode(inputs), columns)
        case "pandas", "DataFrame":
            return lambda inputs, columns: frame(decode(inputs), columns)
        case "numpy", "ndarray":
            return lambda inputs, columns: array(decode(inputs), columns, element_type(kind))
        case "pyarrow", "Table":
            return lambda inputs, columns: arrow_table(decode(inputs), columns)
        case "builtins", "list":
            (row,) = get_args(kind) or (Any,)
            return lambda inputs, _: decode(inputs, row)
    raise TypeError(
        f"{kind!r} is none of pandas.DataFrame, numpy.ndarray, pyarrow.Table and list[…]"
    )


def decode(inputs: Sequence[str], row: Any = Any) -> list[Any]:  # noqa: ANN401 - a type
    """Return the JSON value of each input, as the type of a row if one is given.

    Raises:
        ValueError: An input is not JSON, or it does not fit the type.

    """
    decoder = msgspec.json.Decoder(row)
    rows = []
    for text in inputs:
        try:
            try:
                rows.append(decoder.decode(text))
            except msgspec.ValidationError:  # maybe 2.0, which is an integer in JSON Schema
                rows.append(msgspec.convert(_whole(msgspec.json.decode(text)), row))
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise ValueError(f"the model cannot read the input: {error}") from error
    return rows


def _whole(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return a value whose numbers without a fraction are integers."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {name: _whole(item) for name, item in value.items()}
    return value


def by_column(rows: Sequence[Any], columns: Columns = ()) -> dict[Any, list[Any]]:
    """Return the cells of each column; a cell that an object lacks is None.

    A row is an object, an array with a value for each column, or a single value. Without `columns`,
    objects give every name that occurs in them, and arrays are numbered.

    Raises:
        ValueError: The rows do not have these columns, they mix objects and arrays, or a name
            occurs twice.

    """
    names: Sequence[Any] = list(columns)
    if len({*names}) < len(names):
        raise ValueError(f"a name occurs twice in the columns {', '.join(map(str, names))}")
    if not names:
        objects = [row for row in rows if isinstance(row, dict)]
        if objects and len(objects) < len(rows):
            raise ValueError("some inputs are objects and some are not; set the model's columns")
        if objects:
            names = list(dict.fromkeys(name for row in objects for name in row))
        elif rows:
            names = range(len(rows[0]) if isinstance(rows[0], list) else 1)
    cells = [_cells(row, names) for row in rows]
    return {name: [row[place] for row in cells] for place, name in enumerate(names)}


def _cells(row: Any, names: Sequence[Any]) -> list[Any]:  # noqa: ANN401 - a JSON value
    if isinstance(row, dict):
        return [row.get(name) for name in names]
    values = row if isinstance(row, list) else [row]
    if len(values) != len(names):
        raise ValueError(f"the input has {len(values)} values instead of {len(names)}")
    return values


def frame(
    rows: Sequence[Any], columns: Columns = (), nulls: Mapping[str, float | None] | None = None
) -> Any:  # noqa: ANN401
    """Return the rows as a pandas DataFrame.

    A column of whole numbers is int64, or Int64 if it has nulls; of truth values, bool or boolean;
    of other numbers or only nulls, float64; everything else is objects.

    `nulls` says for each column what a null becomes in every batch, NaN or None. With NaN, a column
    of numbers is float64 even without nulls; with None, a column that has nulls is objects.
    """
    with extras.required():
        import pandas as pd  # noqa: PLC0415 - only models that need it import it
    types = columns if isinstance(columns, Mapping) else {}
    cells = by_column(rows, columns)
    # Arrays take a tenth of the time that Series would, which counts in small batches.
    arrays = {
        name: typed_arrays.column(values, dtype, name)
        if (dtype := types.get(name))
        else _column(values)
        if nulls is None
        else _steady_column(values, nulls[name], name)
        for name, values in cells.items()
    }
    return pd.DataFrame(arrays, index=range(len(rows)), copy=False)


def _column(cells: list[Any]) -> Any:  # noqa: ANN401 - an array of numpy or pandas
    """Return a column with the type that holds its cells."""
    import numpy as np  # noqa: PLC0415 - pandas has imported it
    import pandas as pd  # noqa: PLC0415 - the same

    types = {*map(type, cells)}
    kinds = types - {type(None)}
    if kinds == {int} and all(-(2**63) <= cell < 2**63 for cell in cells if cell is not None):
        return np.array(cells) if kinds == types else pd.array(cells, dtype="Int64")
    if kinds == {bool}:
        return np.array(cells) if kinds == types else pd.array(cells, dtype="boolean")
    if not kinds or kinds in ({float}, {int, float}):
        return np.array(cells, dtype=float)
    return _objects(cells)


def _steady_column(cells: list[Any], null: float | None, name: str) -> Any:  # noqa: ANN401 - the same
    """Return a column in which a null is the same value, whatever else the batch holds."""
    if null is None:
        return _objects(cells) if None in cells else _column(cells)
    if all(cell is None or isinstance(cell, int | float) for cell in cells):
        # The sign makes numbers of truth values.
        return typed_arrays.typed([None if cell is None else +cell for cell in cells], float, name)
    return _objects([null if cell is None else cell for cell in cells])


def _objects(cells: list[Any]) -> Any:  # noqa: ANN401 - the same
    import numpy as np  # noqa: PLC0415 - the same

    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column


def array(rows: Sequence[Any], columns: Columns = (), dtype: Any = float) -> Any:  # noqa: ANN401
    """Return the rows as a numpy array with two dimensions, or more if the inputs are nested.

    Raises:
        InvalidInput: A value is not of the type, or the rows have different shapes.
        ValueError: The rows are objects while there are no columns.

    """
    with extras.required():
        import numpy as np  # noqa: PLC0415 - the same
    if columns:
        return np.ascontiguousarray(
            typed_arrays.block(by_column(rows, columns), dtype).swapaxes(0, 1)
        )
    if any(isinstance(row, dict) for row in rows):
        raise ValueError("the input is an object, whose order means nothing; set the columns")
    result = typed_arrays.typed(rows, dtype)
    return result.reshape(-1, 1) if result.ndim == 1 else result


def element_type(kind: Any) -> Any:  # noqa: ANN401 - an annotation, and a type of numpy
    """Return the type of the elements that an annotation names, such as `NDArray[np.int64]`."""
    for argument in get_args(kind)[1:]:
        for element in get_args(argument):
            if isinstance(element, type):
                return element
    return float


def arrow_table(rows: Sequence[Any], columns: Columns = ()) -> Any:  # noqa: ANN401 - no types
    """Return the rows as an Arrow table, with the types that Arrow infers unless they are given."""
    with extras.required():
        import pyarrow as pa  # noqa: PLC0415 - the same
    types = columns if isinstance(columns, Mapping) else {}
    cells = by_column(rows, columns)
    return pa.table({str(name): pa.array(cells[name], types.get(name)) for name in cells})
