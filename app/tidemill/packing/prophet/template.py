"""Define what many fitted models of Prophet have in common, and the row of numbers of each."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

if TYPE_CHECKING:
    from tidemill.packing.arrays import Floats

Growth = Literal["linear", "logistic", "flat"]
DAY_NS = 86_400_000_000_000
ADDITIVE, MULTIPLICATIVE = "additive_terms", "multiplicative_terms"


class Seasonality(msgspec.Struct, frozen=True):
    """A Fourier series: its period in days, and its number of sine and cosine pairs."""

    period: float
    order: int


class Holiday(msgspec.Struct, frozen=True):
    """A feature that is 1 on some days, counted from 1970-01-01, and otherwise 0."""

    name: str
    days: tuple[int, ...]


class Template(msgspec.Struct, frozen=True, dict=True):
    """A configuration, without any number that was fitted.

    Attributes:
        growth: The kind of trend.
        seasonalities: The seasonalities, in the order of their features.
        holidays: The features of holidays, which follow.
        country: The country whose holidays Prophet adds. `holidays` has those of the years from
            `country.FIRST_YEAR` to `country.LAST_YEAR`.
        regressors: The names of the regressors, whose features follow.
        components: The features that each component of a forecast adds up.
        scaled: The components in units of the forecast. The others are factors.
        needs_floor: Whether inputs have a `floor`. Otherwise, it is that of the row if `minmax`,
            and 0 if not.
        minmax: Whether the history was scaled between its least and its greatest value.
        interval_width: The probability that the interval of a forecast contains the value.
        changepoints: How many changes of the trend each row has.

    """

    growth: Growth
    seasonalities: tuple[Seasonality, ...]
    holidays: tuple[Holiday, ...]
    regressors: tuple[str, ...]
    components: dict[str, tuple[int, ...]]
    scaled: frozenset[str]
    needs_floor: bool
    minmax: bool
    interval_width: float
    changepoints: int
    country: str | None = None

    @property
    def features(self) -> int:
        """Return the number of features; Prophet uses a column of zeros if there is none."""
        fourier = sum(2 * each.order for each in self.seasonalities)
        return max(1, fourier + len(self.holidays) + len(self.regressors))

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that an input needs, besides its dates."""
        cap = ("cap",) if self.growth == "logistic" else ()
        return (*self.regressors, *cap, *(("floor",) if self.needs_floor else ()))

    @cached_property
    def layout(self) -> Layout:
        """Return where each number stands in a row."""
        return Layout(self)

    @cached_property
    def masks(self) -> dict[str, Floats]:
        """Return 1 for each feature of a component, and 0 for the others."""
        masks = {}
        for name, features in self.components.items():
            masks[name] = np.zeros(self.features)
            masks[name][[*features]] = 1.0
        return masks


class Layout:
    """The columns of a row: one number each, or a slice of them."""

    def __init__(self, template: Template) -> None:
        """Count the columns.

        Times are whole days and the rest in nanoseconds, which a float64 holds without loss.
        """
        self.start, self.scale = slice(0, 2), slice(2, 4)
        # The mean time between two rows of the history, as a part of the history's duration.
        self.step, self.y_scale, self.y_min, self.k, self.m, self.sigma = range(4, 10)
        end = 10
        self.regressors = slice(end, end := end + 2 * len(template.regressors))
        self.changepoints = slice(end, end := end + template.changepoints)
        self.delta = slice(end, end := end + template.changepoints)
        self.beta = slice(end, end := end + template.features)
        self.width = end


def split_ns(nanoseconds: int) -> tuple[float, float]:
    """Return whole days and the rest in nanoseconds."""
    days, rest = divmod(nanoseconds, DAY_NS)
    return float(days), float(rest)


def join_ns(columns: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return nanoseconds as integers, of days and rests in the last dimension."""
    whole = columns.astype(np.int64)
    return whole[..., 0] * DAY_NS + whole[..., 1]
