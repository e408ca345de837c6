"""Give the tasks of an executor one pool of model processes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pyspark import TaskContext

from tidemill.models.machine import cores
from tidemill.models.pool.runner import runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import SparkSession

    from tidemill.inference.engine import Runner
    from tidemill.inference.model import ModelSpec
    from tidemill.settings.pool import PoolSettings


def worker_runner(specs: Sequence[ModelSpec], settings: PoolSettings) -> Runner:
    """Return what runs the models in this worker; outside Spark, the pool of this process.

    The pool belongs to Spark's daemon, which forks the workers of an executor and ends with it.
    """
    return runner(specs, settings, os.getppid() if TaskContext.get() else os.getpid())


def is_local(spark: SparkSession) -> bool:
    """Return whether all tasks run in threads of the driver's Java."""
    return bool(re.fullmatch(r"local(\[.*])?", spark.sparkContext.master or ""))


def sized(settings: PoolSettings, spark: SparkSession) -> PoolSettings:
    """Return the settings with the number of processes that suits Spark's executors.

    It is the number of an executor's cores, divided by those that a task takes. With a local master
    it is that of Spark's threads, but not more than there are cores.
    """
    if settings.processes:
        return settings
    context = spark.sparkContext
    if is_local(spark):
        available = min(context.defaultParallelism, cores())
    else:
        # A standalone executor takes all cores of its machine by default.
        default = "1" if re.match("k8s:|yarn", context.master or "") else "0"
        available = int(context.getConf().get("spark.executor.cores") or default)
    by_task = int(context.getConf().get("spark.task.cpus") or "1")
    processes = max(available // by_task, 1) if available else None
    return settings.model_copy(update={"processes": processes})
