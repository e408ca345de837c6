"""Make the rows that every store gets, and the keys that every client asks for."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY: Final = "customer"
COUNTS: Final = (1, 10, 100)  # keys of a look-up
FEATURES: Final = 50
REQUESTS: Final = 1000


def names(count: int = FEATURES) -> list[str]:
    """Return the names of the features."""
    return [f"f{number:02}" for number in range(count)]


def values(key: int, count: int = FEATURES) -> list[float]:
    """Return the features of a key: numbers with six digits, which differ between keys."""
    return [(key * 7919 + number * 104_729) % 1_000_003 / 1000 for number in range(count)]


def wanted(rows: int, count: int) -> list[list[int]]:
    """Return the keys of many look-ups, all of them different within one."""
    chosen = random.Random(count)  # noqa: S311 - no secret
    return [chosen.sample(range(rows), count) for _ in range(REQUESTS)]


def lines(rows: int, count: int) -> Iterator[bytes]:
    """Yield rows as JSON; they share their values, so that making them costs next to nothing."""
    pairs = zip(names(count), values(1, count), strict=True)
    rest = ",".join(f'"{name}":{value}' for name, value in pairs).encode()
    for key in range(rows):
        yield b'{"%b":%d,%b}' % (KEY.encode(), key, rest)
