"""Encode what a model returns for a table: one JSON text for each row."""

from __future__ import annotations

from typing import Any

import msgspec


def encode(outputs: Any) -> list[str]:  # noqa: ANN401 - whatever a model returns
    """Return the JSON text of each row.

    JSON has neither NaN nor infinity, so both become null, as do pandas' NA and NaT. Times become
    ISO 8601 texts, exact to the microsecond.

    Raises:
        TypeError: The outputs are no list, tuple, array, Series, DataFrame or Arrow data, or JSON
            has nothing for a value in them.

    """
    return [_ENCODER.encode(row).decode() for row in rows(outputs)]


def rows(outputs: Any) -> list[Any] | tuple[Any, ...]:  # noqa: ANN401 - the same
    """Return the rows of a list, a tuple, or a table of any library."""
    if isinstance(outputs, list | tuple):
        return outputs
    if hasattr(outputs, "itertuples"):  # a DataFrame of pandas
        names = [str(name) for name in outputs.columns]
        return [
            dict(zip(names, row, strict=True)) for row in outputs.itertuples(index=False, name=None)
        ]
    if hasattr(outputs, "to_pylist"):  # Arrow's tables, batches and arrays
        return list(outputs.to_pylist())
    if hasattr(outputs, "toarray"):  # a sparse matrix of scipy
        outputs = outputs.toarray()
    if hasattr(outputs, "tolist"):  # arrays of numpy, Series of pandas
        listed = _plain(outputs)
        if isinstance(listed, list):
            return listed
    raise TypeError(f"the model returned {type(outputs).__name__}, which has no rows")


def _plain(value: Any) -> Any:  # noqa: ANN401 - the same
    """Return the built-in value for one of numpy or pandas."""
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime(warn=False)
    if hasattr(value, "to_pytimedelta"):
        return value.to_pytimedelta()
    if type(value).__module__ == "numpy" and value.dtype.kind in "mM":
        # Python has no nanoseconds: numpy would return their number.
        value = value.astype(f"{value.dtype.kind}8[us]")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"the model returned {type(value).__name__}, which JSON does not have")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
