"""Define the errors of packed models."""

from __future__ import annotations

from tidemill.errors.base import ConfigurationError


class Unpackable(ConfigurationError):
    """A model cannot be packed."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the model cannot be packed: {reason}",
            "Pack it as it is with `--kind pickle`, which needs Prophet for every prediction.",
        )


class CalendarEnded(ConfigurationError):
    """A date is outside of the calendar of holidays in an artifact."""

    def __init__(self, country: str, year: int, first: int, last: int) -> None:
        super().__init__(
            f"the artifact has the holidays of {country} from {first} to {last}, not of {year}",
            "Install the package holidays, which knows other years.",
        )
