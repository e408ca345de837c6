"""Encode what a model returns for a table: one JSON text for each row."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


def encode(outputs: Any) -> list[str]:  # noqa: ANN401 - whatever a model returns
    """Return the JSON text of each row.

    JSON has neither NaN nor infinity, so both become null, as do pandas' NA and NaT. Times become
    ISO 8601 texts, exact to the microsecond.

    Raises:
        ValueError: Columns have the same name, or a time is outside the years 1 to 9999.
        TypeError: The outputs are no list, tuple, array, Series, DataFrame or Arrow data, or JSON
            has nothing for a value in them.

    """
    return [_ENCODER.encode(row).decode() for row in rows(outputs)]


def rows(outputs: Any) -> list[Any] | tuple[Any, ...]:  # noqa: ANN401 - the same
    """Return the rows of a list, a tuple, or a table of any library."""
    if isinstance(outputs, list | tuple):
        return outputs
    if hasattr(outputs, "itertuples"):  # a DataFrame of pandas
        names = _distinct(map(str, outputs.columns))
        return [
            dict(zip(names, row, strict=True)) for row in outputs.itertuples(index=False, name=None)
        ]
    if hasattr(outputs, "to_pylist"):  # Arrow's tables, batches and arrays
        _distinct(getattr(outputs, "column_names", ()))
        return list(outputs.to_pylist())
    if hasattr(outputs, "toarray"):  # a sparse matrix of scipy
        outputs = outputs.toarray()
    if hasattr(outputs, "tolist"):  # arrays of numpy, Series of pandas
        listed = _plain(outputs)
        if isinstance(listed, list):
            return listed
    raise TypeError(f"the model returned {type(outputs).__name__}, which has no rows")


def _distinct(names: Iterable[str]) -> list[str]:
    counts = Counter(names)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise ValueError(f"the model returned several columns named {', '.join(twice)}")
    return [*counts]


def _plain(value: Any) -> Any:  # noqa: ANN401 - the same
    """Return the built-in value for one of numpy or pandas."""
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(value, datetime) and hasattr(value, "to_pydatetime"):
        return value.to_pydatetime(warn=False)
    if isinstance(value, timedelta) and hasattr(value, "to_pytimedelta"):
        return value.to_pytimedelta()
    if type(value).__module__ == "numpy" and value.dtype.kind in "mM":
        # Python has no nanoseconds: numpy would return their number.
        value = value.astype(f"{value.dtype.kind}8[us]")
        if any(isinstance(cell, int) for cell in value.ravel().tolist()):
            raise ValueError("the model returned a time outside the years 1 to 9999")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"the model returned {type(value).__name__}, which JSON does not have")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
