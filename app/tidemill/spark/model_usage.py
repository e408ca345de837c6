"""Report from the workers to the driver how often models were loaded, and what they take.

The workers add to one of Spark's accumulators. Spark's observed metrics would need a column for it.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, TypeAlias

from pyspark.accumulators import AccumulatorParam

from tidemill.models.host import Usage
from tidemill.models.pool.client import PooledRunner

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import SparkSession

    from tidemill.inference.engine import Runner
    from tidemill.models.pool.client import PoolUsage

# By the executor's host and process, and the pool's id. To add the same state twice changes
# nothing, so a retry of a task does not count.
Usages: TypeAlias = "dict[tuple[str, str], PoolUsage]"


class NewestUsage(AccumulatorParam["Usages"]):
    """Keep the newest state of each pool."""

    def zero(self, value: Usages) -> Usages:  # noqa: ARG002 - Spark's
        """Return no states."""
        return {}

    def addInPlace(self, value1: Usages, value2: Usages) -> Usages:  # noqa: N802 - Spark's
        """Return the states of both, and of each pool the newer one."""
        newer = {
            pool: usage
            for pool, usage in value2.items()
            if pool not in value1 or usage.version > value1[pool].version
        }
        return value1 | newer


def accumulator(spark: SparkSession) -> Accumulator[Usages]:
    """Return a new accumulator for a query's pools."""
    return spark.sparkContext.accumulator({}, NewestUsage())


def report(runner: Runner, usage: Accumulator[Usages] | None) -> None:
    """Add what the pool did since this worker last reported it."""
    if usage is not None and isinstance(runner, PooledRunner) and (changed := runner.usage()):
        owner = f"{socket.gethostname()}:{os.getppid()}"
        usage.add({(owner, changed.pool): changed})


def totals(usages: Usages) -> dict[str, Usage]:
    """Return what all pools did with each model; a pool that was replaced holds none any more."""
    newest = dict(sorted(usages))  # by owner
    sums: dict[str, Usage] = {}
    for (owner, pool_id), pool in usages.items():
        for model, usage in pool.models.items():
            total = sums.setdefault(model, Usage())
            total.loads += usage.loads
            total.evictions += usage.evictions
            total.seconds += usage.seconds
            total.bytes += usage.bytes if newest[owner] == pool_id else 0
    return sums
