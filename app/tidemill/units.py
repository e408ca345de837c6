"""Format numbers, durations, rates and times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

UNKNOWN: Final = "-"
# Each unit in seconds, with its next smaller unit in seconds.
_UNITS: Final = (("d", 86_400, "h", 3600), ("h", 3600, "min", 60))
_MINUTE: Final = 60
_FEW: Final = 10


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 result`, `2 results`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Format seconds as `0.4 s`, `12 s`, `4 min`, `3 h 20 min`, `2 d 5 h`."""
    if seconds is None:
        return UNKNOWN
    if seconds < _FEW:
        return f"{seconds:.1f} s"
    for unit, size, smaller, part in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size):,} {unit} {int(seconds % size // part)} {smaller}"
    return f"{seconds:.0f} s" if seconds < _MINUTE else f"{int(seconds // _MINUTE)} min"


def per_second(rate: float | None) -> str:
    """Format a rate, with one decimal if it is small."""
    if rate is None:
        return UNKNOWN
    return f"{rate:.1f}" if 0 < rate < _FEW else f"{rate:,.0f}"


def moment(milliseconds: int) -> str:
    """Return a time as ISO 8601; one that no calendar has, as the number that it is."""
    try:
        time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
