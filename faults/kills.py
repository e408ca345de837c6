"""Plan the kills of a campaign: every target at every point, the least tried first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.failpoints import AFTER_LAST_COMMIT, CLAIM_POINTS, IN_PREDICT, POINTS

if TYPE_CHECKING:
    import random
    from collections import Counter

ANY_TIME = "any time"
DRIVERS = ("group", "driver", "jvm")
# One process of a pool, and the server that all of them end with.
POOL = ("member", "server")
# The whole job, suspended at a point until its successor answers.
ZOMBIE = "zombie"


@dataclass(frozen=True, slots=True, order=True)
class Kill:
    """The processes to kill (`job_processes.find`), and the point at which they die."""

    target: str
    point: str = ANY_TIME

    @property
    def restarts(self) -> bool:
        """Whether the kill ends the whole job."""
        return self.target in {*DRIVERS, ZOMBIE}


def possible(mode: str, engine: str) -> list[Kill]:
    """Return all kills; an at-least-once job has no transactions, so no points in them."""
    targets = ("worker", *DRIVERS) if engine == "local" else ("worker", "executor", "group")
    targets = (*targets, *POOL)
    kills = [Kill(target) for target in targets]
    kills += [Kill(target, IN_PREDICT) for target in POOL]
    if mode == "exactly-once":
        kills += [Kill(target, point) for target in targets for point in POINTS]
        kills += [Kill(target, AFTER_LAST_COMMIT) for target in targets if target in DRIVERS]
        kills += [Kill("group", point) for point in CLAIM_POINTS]
        if engine == "local":  # one machine has no room for two clusters
            kills += [Kill(ZOMBIE, point) for point in ("amid-send", "before-commit")]
    return kills


def plan(
    mode: str,
    engine: str,
    count: int,
    driver_share: float,
    tried: Counter[Kill],
    rng: random.Random,
) -> list[Kill]:
    """Return `count` kills in a random order, and add them to the campaign's earlier ones."""
    drivers = round(count * driver_share)
    planned = []
    for restarts, number in ((True, drivers), (False, count - drivers)):
        kinds = [kill for kill in possible(mode, engine) if kill.restarts is restarts]
        for _ in range(number):
            fewest = min(tried[kill] for kill in kinds)
            kill = rng.choice([kill for kill in kinds if tried[kill] == fewest])
            tried[kill] += 1
            planned.append(kill)
    rng.shuffle(planned)
    return planned
