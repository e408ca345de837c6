from __future__ import annotations

from tidemill.models.host import Usage
from tidemill.models.pool.client import PoolUsage
from tidemill.spark.model_usage import NewestUsage, Usages, totals


def usages(*states: tuple[str, str, int, int]) -> Usages:
    """Return states of pools: owner, pool, version, and loads of one model that takes 10 bytes."""
    return {
        (owner, pool): PoolUsage(pool, version, {"m:1": Usage(loads, 0, 1.0, 10)})
        for owner, pool, version, loads in states
    }


def test_any_order() -> None:
    """Of each pool the newest state counts once, in whichever order the states arrive."""
    param = NewestUsage()
    parts = [
        usages(("a", "1", 1, 5)),
        usages(("a", "1", 3, 7)),
        usages(("a", "1", 2, 6)),
        usages(("b", "1", 1, 2)),
    ]
    for order in (parts, parts[::-1], [*parts, *parts]):
        value = param.zero({})
        for part in order:
            value = param.addInPlace(value, part)
        assert totals(value) == {"m:1": Usage(9, 0, 2.0, 20)}


def test_replaced_pool() -> None:
    """The loads of a pool that another one replaced stay counted, but it takes no memory."""
    value = usages(("a", "1", 9, 5), ("a", "2", 1, 3), ("b", "1", 1, 1))
    assert totals(value) == {"m:1": Usage(9, 0, 3.0, 20)}
