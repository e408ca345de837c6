"""Load the models before the first message arrives, and keep idle workers alive."""

from __future__ import annotations

import gc
import time
import traceback
from contextlib import nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING

from pyspark.cloudpickle import dumps

from tidemill.errors import ExecutorsUnfit, TidemillError
from tidemill.inference.engine import Engine
from tidemill.inference.request import Request
from tidemill.models.pool.loading import preloaded
from tidemill.periodic import PeriodicTask
from tidemill.spark.failures import MODULE_NOT_FOUND, parse_worker_error
from tidemill.spark.worker_pool import is_local, worker_runner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from pyspark.sql import Row, SparkSession

    from tidemill.inference.model import ModelSpec
    from tidemill.settings.pool import PoolSettings

# Spark ends all workers, with their Kafka clients, after a minute without a task.
INTERVAL_S = 30.0


def load_models(spark: SparkSession, specs: Sequence[ModelSpec], pool: PoolSettings) -> None:
    """Start the pool of model processes, and run every preloaded model on its sample.

    The first messages need not wait for it then. A model that fails ends the job before it reads
    anything. If a retry cannot help, the worker returns the problem as a row, so that Spark does
    not retry the task.

    Raises:
        ConfigurationError: A model does not load, executors lack a module, or the setting
            `pool.preload` names no model.
        PythonException: A model fails on its sample; see `failures.translate`.

    """
    pickled = dumps(partial(_try_models, tuple(specs), preloaded(specs, pool), pool))

    # Spark pickles this function by value, and it imports Tidemill only when it unpickles the rest:
    # so it can report an executor that lacks Tidemill.
    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pickle  # noqa: PLC0415
        import socket  # noqa: PLC0415
        import traceback  # noqa: PLC0415

        import pyarrow  # noqa: PLC0415, ICN001

        for _ in batches:
            pass
        try:
            problem, trace = pickle.loads(pickled)()  # noqa: S301 - the driver made it
        except (ImportError, AttributeError) as error:  # Tidemill or a dependency is missing or old
            problem, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
        row = {"host": [socket.gethostname()], "problem": [problem], "trace": [trace]}
        yield pyarrow.RecordBatch.from_pydict(row)

    workers = spark.sparkContext.defaultParallelism
    tasks = spark.range(0, workers, 1, workers)
    rows = tasks.mapInArrow(on_worker, "host string, problem string, trace string").collect()
    if failed := [row for row in rows if row.problem]:
        raise _first_problem(failed)


def _try_models(
    specs: Sequence[ModelSpec], tried: Sequence[ModelSpec], pool: PoolSettings
) -> tuple[str, str]:
    """Run some of the models on their samples, from this worker.

    Return a problem that no retry can solve, with its traceback, or two empty strings.
    """
    try:
        engine = Engine(worker_runner(specs, pool), clock=time.time)
        for output in engine.run([Request(spec, None) for spec in tried]):
            if isinstance(output.result, TidemillError):
                raise output.result
    except TidemillError as error:
        # A model may import a module only when `predict_all` is called.
        if error.kind != "configuration" and MODULE_NOT_FOUND not in str(error):
            raise
        exception = "".join(traceback.format_exception_only(error)).strip()
        return exception, traceback.format_exc()
    freeze_gc("warm-up")
    return "", ""


def _first_problem(failed: Sequence[Row]) -> TidemillError:
    """Return the first problem, with its worker's traceback and all hosts that have it."""
    first = failed[0]
    hosts = sorted({row.host for row in failed if row.problem == first.problem})
    error = parse_worker_error(first.problem, hosts) or ExecutorsUnfit(first.problem, hosts)
    error.add_note(first.trace)  # logged at level DEBUG
    return error


@cache
def freeze_gc(task: str) -> None:  # noqa: ARG001 - the cache's key
    """Exempt all objects that exist now from garbage collection, once after each kind of task.

    Spark's worker collects garbage after each task, while the next one waits. With the modules of
    pandas and pyarrow that takes 40 ms. Each kind of task imports modules that others do not.
    """
    gc.collect()
    gc.freeze()


def keep_warm(spark: SparkSession, interval: float = INTERVAL_S) -> AbstractContextManager[object]:
    """Return a background task, to be entered, that keeps Spark from ending idle workers.

    It runs a task with one row, which is enough for all workers of a machine. On a cluster there is
    no such task: it would reach one executor of many, and an idle executor may be meant to end.
    """
    if not is_local(spark):
        return nullcontext()
    frame = spark.range(1).coalesce(1).mapInArrow(lambda batches: batches, "id long")
    return PeriodicTask(interval, frame.collect, description="keep the workers warm")
