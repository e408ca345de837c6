"""Load the models before the first message needs them, and keep them."""

from __future__ import annotations

import gc
import re
import traceback
from contextlib import nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING

from pyspark.cloudpickle import dumps

from tidemill.errors import ConfigurationError, ExecutorsUnfit, TidemillError
from tidemill.inference.predictor import probe
from tidemill.periodic import PeriodicTask
from tidemill.spark.failures import MISSING, raised_on_worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from pyspark.sql import Row, SparkSession

    from tidemill.inference.model import ModelLoader, ModelSpec

# Spark ends all workers, with their models, where none has run for a minute.
INTERVAL_S = 30.0


def load_models(spark: SparkSession, specs: Sequence[ModelSpec], load: ModelLoader) -> None:
    """Have each worker that runs now load every model, and try it on its sample.

    A worker keeps what it has loaded, so that the first messages do not wait for their models, and
    a model that does not load ends the job before it has read anything. What another attempt cannot
    change comes back as a row, so that Spark does not repeat the task.

    Raises:
        ConfigurationError: A model does not load, or executors lack a module.
        PythonException: A model does not answer its sample (`failure.translate` names it).

    """
    packed = dumps(partial(_try_models, tuple(specs), load))

    # Spark sends this function by value and it imports nothing of Tidemill by itself, so that it
    # runs where Tidemill is missing too.
    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pickle  # noqa: PLC0415
        import socket  # noqa: PLC0415
        import traceback  # noqa: PLC0415

        import pyarrow  # noqa: PLC0415, ICN001

        for _ in batches:
            pass
        try:
            problem, trace = pickle.loads(packed)()  # noqa: S301 - ours
        except (ImportError, AttributeError) as error:  # of Tidemill, or of what it imports
            problem, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
        row = {"host": [socket.gethostname()], "problem": [problem], "trace": [trace]}
        yield pyarrow.RecordBatch.from_pydict(row)

    workers = spark.sparkContext.defaultParallelism
    tasks = spark.range(0, workers, 1, workers)
    tried = tasks.mapInArrow(on_worker, "host string, problem string, trace string").collect()
    if failed := [row for row in tried if row.problem]:
        raise _told(failed)


def _try_models(specs: Sequence[ModelSpec], load: ModelLoader) -> tuple[str, str]:
    """Load and try every model in this worker.

    Return what no other attempt can change, and its traceback; two times "" if there is no such.
    """
    try:
        for spec in specs:
            probe(spec, load(spec))
    except TidemillError as error:
        # A model may import a module as late as in `predict_all`.
        if not isinstance(error, ConfigurationError) and MISSING not in str(error):
            raise
        return f"{type(error).__module__}.{type(error).__name__}: {error}", traceback.format_exc()
    settle("warm-up")
    return "", ""


def _told(failed: Sequence[Row]) -> TidemillError:
    """Return the first problem of some workers, with that worker's own traceback."""
    first = failed[0]
    hosts = sorted({row.host for row in failed if row.problem == first.problem})
    said = " ".join(first.problem.split())
    error = raised_on_worker(said, hosts) or ExecutorsUnfit(said, hosts)
    error.add_note(first.trace)  # shown at level DEBUG
    return error


@cache
def settle(after: str) -> None:  # noqa: ARG001 - the cache's key
    """Keep what this process has loaded by now out of the garbage collector's rounds.

    Once after the first task of each kind, as each imports what the others do not. A worker
    collects after each task, which takes 40 ms with all that pandas and pyarrow consist of, and the
    next task waits for it.
    """
    gc.collect()
    gc.freeze()


def keep_warm(spark: SparkSession, interval: float = INTERVAL_S) -> AbstractContextManager[object]:
    """Return a thread, to be entered, that keeps idle workers, with their models, from being ended.

    A task with one row on any of them is enough. On a cluster it does nothing: a task would reach
    one executor of many, and an idle one may be there to be given back.
    """
    if not re.fullmatch(r"local(\[.*])?", spark.sparkContext.master or ""):
        return nullcontext()
    frame = spark.range(1).coalesce(1).mapInArrow(lambda batches: batches, "id long")
    return PeriodicTask(interval, frame.collect, what="keep the workers warm")
