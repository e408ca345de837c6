"""Who is killed, and where: every pair that makes sense, the least tried first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.failpoints import CLAIMS, LAST, POINTS

if TYPE_CHECKING:
    import random
    from collections import Counter

ANY_TIME = "any time"
DRIVERS = ("group", "driver", "jvm")
# The whole job, suspended at a point until its successor answers.
ZOMBIE = "zombie"


@dataclass(frozen=True, slots=True, order=True)
class Strike:
    """A victim (`victims.find`), and the point at which it dies."""

    victim: str
    point: str = ANY_TIME

    @property
    def restarts(self) -> bool:
        """Whether the whole job ends by it."""
        return self.victim in {*DRIVERS, ZOMBIE}


def possible(mode: str, engine: str) -> list[Strike]:
    """Return all strikes: what writes at least once has no points of a transaction."""
    victims = ("worker", *DRIVERS) if engine == "local" else ("worker", "executor", "group")
    found = [Strike(victim) for victim in victims]
    if mode == "exactly-once":
        found += [Strike(victim, point) for victim in victims for point in POINTS]
        found += [Strike(victim, LAST) for victim in victims if victim in DRIVERS]
        found += [Strike("group", point) for point in CLAIMS]
        if engine == "local":  # two at once are enough for one machine
            found += [Strike(ZOMBIE, point) for point in ("amid-send", "before-commit")]
    return found


def plan(
    mode: str,
    engine: str,
    kills: int,
    driver_share: float,
    tried: Counter[Strike],
    rng: random.Random,
) -> list[Strike]:
    """Return so many strikes in a random order; `tried` counts earlier ones, and then these."""
    drivers = round(kills * driver_share)
    chosen = []
    for restarts, count in ((True, drivers), (False, kills - drivers)):
        kinds = [strike for strike in possible(mode, engine) if strike.restarts is restarts]
        for _ in range(count):
            least = min(tried[strike] for strike in kinds)
            strike = rng.choice([strike for strike in kinds if tried[strike] == least])
            tried[strike] += 1
            chosen.append(strike)
    rng.shuffle(chosen)
    return chosen
