"""Find the holidays of countries, as Prophet does."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tidemill.errors import CalendarEnded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.packing.arrays import Ints

# The years that an artifact contains; they are those in which Prophet looks for names.
FIRST_YEAR, LAST_YEAR = 1995, 2044
# Prophet still accepts an old code of Turkey.
RENAMED = {"TU": "TR"}


def holidays_in(country: str, years: Iterable[int]) -> dict[str, list[int]]:
    """Return the holidays of some years: their days since 1970-01-01, by their English names.

    Raises:
        ImportError: The package `holidays` is not installed.

    """
    found: dict[str, list[int]] = {}
    for year in sorted(years):
        for day, name in _holidays_of(country, year):
            found.setdefault(name, []).append(day)
    return found


def other_holidays(country: str | None, days: Ints) -> dict[str, list[int]]:
    """Return the holidays of those years of some days that artifacts do not contain.

    Raises:
        CalendarEnded: The package `holidays`, which knows them, is not installed.

    """
    if country is None:
        return {}
    first, last = np.datetime64(f"{FIRST_YEAR}-01-01"), np.datetime64(f"{LAST_YEAR}-12-31")
    others = days[(days < first.astype(int)) | (days > last.astype(int))]
    years = {day.year for day in others.astype("datetime64[D]").tolist()}
    try:
        return holidays_in(country, years)
    except ImportError as error:
        raise CalendarEnded(country, min(years), FIRST_YEAR, LAST_YEAR) from error


@lru_cache(maxsize=512)
def _holidays_of(country: str, year: int) -> tuple[tuple[int, str], ...]:
    import holidays  # noqa: PLC0415 - only calendars of other years need it

    found = getattr(holidays, RENAMED.get(country, country))(
        expand=False, language="en_US", years=[year]
    )
    epoch = date(1970, 1, 1)
    return tuple(((day - epoch).days, name) for day in found for name in found.get_list(day))
