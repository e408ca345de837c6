"""How much the benchmark of stores measures."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """Numbers of rows, and durations.

    Attributes:
        rows: The rows of the tables for look-ups in SQLite, with all features.
        postgres_rows: The same for PostgreSQL, to which Feast writes some hundred rows a second.
        loaded: The rows of our large load.
        narrow: The features of a row of the large load.
        seconds: How long each look-up has its turn.
        rounds: How many turns each has.

    """

    rows: int = 100_000
    postgres_rows: int = 20_000
    loaded: int = 10_000_000
    narrow: int = 5
    seconds: float = 1.0
    rounds: int = 3
