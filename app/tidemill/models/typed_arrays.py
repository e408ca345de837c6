"""Make arrays of a given type from JSON values, and refuse values that the type would change."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from tidemill import extras
from tidemill.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# What JSON values may become each kind of numpy's types, and what those are called.
_KINDS: dict[str, tuple[set[type], str]] = {
    "b": ({bool}, "true or false"),
    "i": ({int, float}, "an integer"),
    "u": ({int, float}, "an integer"),
    "f": ({int, float, type(None)}, "a number"),
    "U": ({str}, "a text"),
}
SHOWN = 60  # characters of a wrong value


def typed(cells: Sequence[Any], dtype: Any, field: str = "the input") -> Any:  # noqa: ANN401 - numpy's
    """Return an array of JSON values, which may be nested. In floats, null becomes NaN.

    Raises:
        InvalidInput: A value is not of the type, such as a fraction among integers.

    """
    with extras.required():
        import numpy as np  # noqa: PLC0415 - only models that need it import it
    dtype = np.dtype(dtype)
    if dtype.kind not in _KINDS:
        return np.array(cells, dtype=dtype)
    # Other types of arrays would make true a number and large integers inexact.
    values = np.array(cells, dtype=object)
    flat = values.ravel().tolist()
    allowed, noun = _KINDS[dtype.kind]
    if not {*map(type, flat)} <= allowed:
        _refuse(flat, lambda cell: type(cell) in allowed, field, noun)
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        whole = [int(cell) for cell in flat]
        if whole != flat or (whole and not low <= min(whole) <= max(whole) <= high):
            noun = f"an integer from {low} to {high}"
            _refuse(flat, lambda cell: cell == int(cell) and low <= cell <= high, field, noun)
        return np.array(whole, dtype=dtype).reshape(values.shape)
    if dtype.kind == "f":
        limit = float(np.finfo(dtype).max)
        with np.errstate(over="ignore"), suppress(OverflowError):
            result = values.astype(dtype)
            if not np.isinf(result).any():
                return result
        _refuse(
            flat,
            lambda cell: cell is None or abs(cell) <= limit,
            field,
            f"a number up to {limit:g}",
        )
    return values.astype(dtype)


def _refuse(cells: Iterable[Any], fits: Callable[[Any], bool], field: str, noun: str) -> NoReturn:
    wrong = next((cell for cell in cells if not fits(cell)), None)
    text = msgspec.json.encode(wrong).decode()
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    raise InvalidInput(f"{field}: {text} is not {noun}")


def block(columns: Mapping[Any, Sequence[Any]], dtype: Any) -> Any:  # noqa: ANN401 - numpy's
    """Return an array with a row for each column.

    Raises:
        InvalidInput: A value is not of the type.

    """
    try:
        # Of 600 columns, this takes a tenth of the time of as many arrays.
        return typed([*columns.values()], dtype)
    except InvalidInput:
        for name, cells in columns.items():
            typed(cells, dtype, str(name))
        raise


def column(cells: Sequence[Any], dtype: Any, name: Any) -> Any:  # noqa: ANN401 - numpy's or pandas'
    """Return a column of a DataFrame; in a nullable type of pandas, null becomes NA.

    Raises:
        InvalidInput: A value is not of the type.

    """
    import pandas as pd  # noqa: PLC0415 - who makes DataFrames has imported it

    dtype = pd.api.types.pandas_dtype(dtype)
    plain = getattr(dtype, "numpy_dtype", dtype)
    if plain.kind not in "biuf":
        return pd.array(cells, dtype=dtype)
    if dtype is plain:
        return typed(cells, dtype, str(name))
    nulls = [cell is None for cell in cells]
    zero = plain.type(0).item()
    values = typed([zero if cell is None else cell for cell in cells], plain, str(name))
    result = pd.array(values, dtype=dtype)
    result[nulls] = pd.NA
    return result
