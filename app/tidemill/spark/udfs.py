"""Apply the models to a DataFrame: the transform, and the function that it runs on the workers."""

from __future__ import annotations

import pickle
import time
from functools import lru_cache, partial
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from tidemill.ahead import map_ahead
from tidemill.inference.engine import Engine
from tidemill.inference.features import no_features
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import Router, all_specs
from tidemill.kafka.record_size import ANY_RECORD, OutputTopic
from tidemill.settings.pool import PoolSettings
from tidemill.spark import model_usage
from tidemill.spark.batch_delivery import LEAVE_TO_SPARK
from tidemill.spark.columns import record_columns
from tidemill.spark.retry import Attempt
from tidemill.spark.rows import latency, outcome_row, read_messages
from tidemill.spark.warmup import freeze_gc
from tidemill.spark.worker_pool import worker_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyspark import Accumulator
    from pyspark.sql import DataFrame

    from tidemill.inference.batch import Clock
    from tidemill.inference.engine import Runner
    from tidemill.inference.features import Complete
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.route import Route
    from tidemill.kafka.record_size import TopicLimits
    from tidemill.spark.batch_delivery import BatchDelivery, Outcomes
    from tidemill.spark.model_usage import Usages

# By topic; a topic without limits takes any record.
Limits: TypeAlias = "Mapping[str, TopicLimits]"
NO_LIMITS: Limits = MappingProxyType({})


def predictions(
    routes: Sequence[Route],
    *,
    results: str,
    dead_letters: str,
    limits: Limits = NO_LIMITS,
    pool: PoolSettings = PoolSettings(),  # noqa: B008 - it is frozen
    delivery: BatchDelivery = LEAVE_TO_SPARK,
    usage: Accumulator[Usages] | None = None,
    features: Callable[[], Complete] = no_features,
) -> Callable[[DataFrame], DataFrame]:
    """Return a transform of records (`schemas.RECORD`) into outcomes (`schemas.OUTCOME`).

    It suits any DataFrame, streaming or not: `frame.transform(predictions(routes, ...))`. The frame
    needs only a column `value`. Each row becomes one row, whose `topic` is `results` or
    `dead_letters`, and rows keep their order within a partition.

    A result that exceeds its topic's limits becomes a dead letter. A dead letter that exceeds them
    keeps only the headers that say where its message is, and why it failed.

    The models run in a pool of processes, which all tasks of an executor share. The workers add the
    loads of models to `usage`. With another `delivery` than the default, the workers write the
    outcomes themselves, and the rows have its schema. `features` is called on the workers, and
    returns what completes the inputs of entries that look features up.

    Raises:
        InvalidModels: Two routes match the same messages.
        NoValueColumn: The frame has no column `value` (raised by the transform).
        WrongColumnType: A column of the frame has an unsuitable type (raised by the transform).

    """
    Router(routes)  # raises on the driver what each worker would raise
    arrow_schema = to_arrow_schema(delivery.schema)
    topic_limits = dict(limits)  # unlike a mapping proxy, a dict can be pickled
    # Only the routes, and how to open the store; the models stay in the pool.
    pickled = pickle.dumps((tuple(routes), features))

    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        runner = worker_runner(_specs(pickled), pool)
        predict = partial(
            predict_batch,
            _predictor(pickled, runner),  # type: ignore[arg-type] # a Runner is hashable
            results=results,
            dead_letters=dead_letters,
            limits=topic_limits,
        )
        attempt = Attempt.current()

        def delivered() -> Iterator[pa.RecordBatch | None]:
            parts = chain.from_iterable(map(delivery.begin, batches))
            # While one part is delivered, the pool works on the next ones.
            for predicted in map_ahead(
                lambda part: predict(part[0]), parts, interval=attempt.keepalive_interval
            ):
                if predicted is None:
                    yield None
                else:
                    (_, deliver), outcomes = predicted
                    yield pa.RecordBatch.from_pylist(deliver(outcomes), schema=arrow_schema)

        yield from attempt.with_keepalive(
            delivered(), arrow_schema, buffer_all=delivery.buffer_retry
        )
        model_usage.report(runner, usage)
        freeze_gc("predictions")

    return lambda frame: frame.select(*record_columns(frame)).mapInArrow(on_worker, delivery.schema)


# Each task gets the routes anew. With 10,000 of them, to read and index them takes 80 ms.
@lru_cache(maxsize=4)
def _unpickle(pickled: bytes) -> tuple[tuple[Route, ...], Callable[[], Complete]]:
    return pickle.loads(pickled)  # type: ignore[no-any-return] # noqa: S301 - the driver pickled it


@lru_cache(maxsize=4)
def _specs(pickled: bytes) -> tuple[ModelSpec, ...]:
    return all_specs(_unpickle(pickled)[0])


@lru_cache(maxsize=4)
def _predictor(pickled: bytes, runner: Runner) -> Predictor:
    routes, features = _unpickle(pickled)
    return Predictor(routes, Engine(runner, clock=time.time, complete=features()))


def predict_batch(
    predictor: Predictor,
    batch: pa.RecordBatch,
    results: str,
    dead_letters: str,
    limits: Limits = NO_LIMITS,
    *,
    clock: Clock = time.time,
) -> Outcomes:
    """Return the outcomes (`schemas.OUTCOME`) of each row of an Arrow batch, in their order.

    Each row has one outcome, a result or a dead letter.
    """
    messages = list(read_messages(batch))
    outcomes = predictor.predict(messages)
    now = clock()
    topics = [OutputTopic(name, limits.get(name, ANY_RECORD)) for name in (results, dead_letters)]
    return [
        [outcome_row(message, outcome, *topics) | {"latency": latency(message, now)}]
        for message, outcome in zip(messages, outcomes, strict=True)
    ]
