"""Answer a batch on Spark: each task answers one split."""

from __future__ import annotations

import pickle
import time
from typing import TYPE_CHECKING

import pyarrow as pa

from tidemill.batch.answer import Work, answer
from tidemill.inference.engine import Engine
from tidemill.inference.features import no_features
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import all_specs
from tidemill.periodic import PeriodicTask
from tidemill.spark import warmup, worker_pool
from tidemill.spark.retry import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pyspark.sql import SparkSession

    from tidemill.batch.meter import Meter
    from tidemill.batch.staging import Receipt
    from tidemill.inference.features import Complete
    from tidemill.inference.route import Route
    from tidemill.settings.pool import PoolSettings

INTERVAL_S = 1.0
SCHEMA = pa.schema([("split", pa.int64())])


def run_on_spark(
    session: tuple[SparkSession, Sequence[Route], PoolSettings],
    work: Work,
    splits: Sequence[int],
    meter: Meter,
    features: Callable[[], Complete] = no_features,
) -> None:
    """Load the models, and answer each split in a task of its own.

    The workers call `features` for what completes the inputs.

    Raises:
        PySparkException: A task failed; `spark.session.running` translates it.

    """
    spark, routes, pool = session
    sized = worker_pool.sized(pool, spark)
    warmup.load_models(spark, all_specs(routes), sized)
    pickled = pickle.dumps((tuple(routes), sized, work, list(splits), features))

    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        routes, pool, work, splits, features = pickle.loads(pickled)  # noqa: S301 - the driver pickled it
        runner = worker_pool.worker_runner(all_specs(routes), pool)
        engine = Engine(runner, clock=time.time, complete=features())
        predictor = Predictor(routes, engine)
        attempt = Attempt.current()

        def alive() -> Iterator[pa.RecordBatch | None]:
            for batch in batches:
                chosen = [splits[index] for index in batch.column("id").to_pylist()]
                interval = attempt.keepalive_interval
                for _ in answer(work, chosen, predictor, interval=interval):
                    yield None

        yield from attempt.with_keepalive(alive(), SCHEMA, buffer_all=False)

    known = work.staging.receipts({})
    before = totals(known.values())

    def show() -> None:
        receipts = work.staging.receipts(known).values()
        meter.total(*(now - then for now, then in zip(totals(receipts), before, strict=True)))

    count = len(splits)
    with PeriodicTask(INTERVAL_S, show, description="watch the progress"):
        spark.range(0, count, 1, count).mapInArrow(on_worker, "split long").collect()
    show()


def totals(receipts: Iterable[Receipt]) -> tuple[int, int, int]:
    """Return how many rows some parts have, their size, and the number of dead letters."""
    listed = list(receipts)
    dead = sum(sum(each.errors.values()) for each in listed)
    return sum(each.rows for each in listed), sum(each.size for each in listed), dead
