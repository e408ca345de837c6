"""Read what is asked of packed models: a key, dates, and a number for each date and column."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tidemill.errors import InvalidInput
from tidemill.packing.arrays import Floats, Ints

if TYPE_CHECKING:
    from collections.abc import Sequence


KEY, DATES = "model_key", "ds"
# What an int64 of nanoseconds can hold, in whole years.
FIRST_YEAR, LAST_YEAR = 1678, 2261
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the dates have no time zone
MAX_SAMPLES = 10_000
MAX_SEED = 2**32 - 1
MAX_NAMED = 100  # characters of a value in an error


class Options(msgspec.Struct, frozen=True):
    """What to return.

    Attributes:
        samples: How many samples to draw for the intervals of each forecast; without, there are no
            intervals.
        seed: The seed of the samples.
        components: Whether to return what each forecast is made of, such as its seasonalities.

    """

    samples: int = 0
    seed: int = 0
    components: bool = False

    def __post_init__(self) -> None:
        """Check the numbers, which a request may set.

        Raises:
            InvalidInput: One is too small or too large.

        """
        for name, value, most in (
            ("samples", self.samples, MAX_SAMPLES),
            ("seed", self.seed, MAX_SEED),
        ):
            if not 0 <= value <= most:
                raise InvalidInput(f"{name} must be a number from 0 to {most}, not {value}")


class Query(msgspec.Struct, frozen=True):
    """One question: the forecasts of one model for some dates.

    `dates` are nanoseconds since 1970-01-01, in any order; `columns` has a number for each of them.
    """

    key: str
    dates: Ints
    columns: dict[str, Floats]

    def column(self, name: str) -> Floats:
        """Return a column of finite numbers.

        Raises:
            InvalidInput: There is none.

        """
        if name not in self.columns:
            raise InvalidInput(f"the model {self.key!r} needs the field {name!r}")
        values = self.columns[name]
        if (wrong := np.flatnonzero(~np.isfinite(values))).size:
            where = f" at index {wrong[0]}" if len(values) > 1 else ""
            raise InvalidInput(f"the field {name!r} must be a finite number{where}")
        return values


def parse(text: str) -> tuple[Query, bool]:
    """Return the query in a JSON object, and whether it is for one date outside of a list.

    Raises:
        InvalidInput: There is none.

    """
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the input must be a JSON object: {error}") from None
    key, dates = fields.pop(KEY, None), fields.pop(DATES, None)
    if not isinstance(key, str | int) or isinstance(key, bool):
        raise InvalidInput(f"the field {KEY!r} must name a model")
    is_row = isinstance(dates, str)
    if not (is_row or (isinstance(dates, list) and dates)):
        raise InvalidInput(f"the field {DATES!r} must be a date, or a list of dates")
    times = to_nanoseconds([dates] if is_row else dates)
    columns = {name: _column(name, value, len(times), is_row) for name, value in fields.items()}
    return Query(str(key), times, columns), is_row


def to_nanoseconds(dates: Sequence[Any]) -> Ints:
    """Return dates or times in ISO 8601 format as nanoseconds since 1970-01-01.

    Raises:
        InvalidInput: One is something else, has a time zone, or is too far away.

    """
    times = [_time(date) for date in dates]
    microsecond = timedelta(microseconds=1)
    return np.array([(time - EPOCH) // microsecond for time in times], np.int64) * 1000


def _time(date: Any) -> datetime:  # noqa: ANN401 - JSON
    named = repr(date)[:MAX_NAMED]
    try:
        time = datetime.fromisoformat(date)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"the field {DATES!r} must have dates such as 2026-01-31, not {named}"
        ) from None
    if time.tzinfo is not None:
        raise InvalidInput(f"the date {named} has a time zone; models only know local times")
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise InvalidInput(f"the date {named} is not in the years from {FIRST_YEAR} to {LAST_YEAR}")
    return time


def _column(name: str, value: Any, count: int, is_row: bool) -> Floats:  # noqa: ANN401, FBT001
    """Return a column; what is no number becomes NaN, which is an error only if it is needed."""
    values = [value] if is_row else value if isinstance(value, list) else [value] * count
    if len(values) != count:
        raise InvalidInput(
            f"the field {name!r} has {len(values)} values, but {DATES!r} has {count}"
        )
    return np.array([_number(each) for each in values], np.float64)


def _number(value: Any) -> float:  # noqa: ANN401 - JSON
    return float(value) if isinstance(value, int | float) else np.nan
