"""The transform that runs on the workers: records in, outcomes out."""

from __future__ import annotations

import time
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from tidemill.inference.codec import encode_headers, encode_truncated_headers
from tidemill.inference.message import Failure, Header, Message, Outcome, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.inference.router import Router
from tidemill.kafka.record_size import ANY_RECORD
from tidemill.models import catalogue
from tidemill.spark.columns import record_columns
from tidemill.spark.retry import Attempt
from tidemill.spark.schemas import OUTCOME, RECORD, TOLD
from tidemill.spark.warmup import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyspark.sql import DataFrame

    from tidemill.inference.model import ModelLoader, ModelSpec
    from tidemill.inference.predictor import Clock
    from tidemill.kafka.record_size import TopicLimits

Row: TypeAlias = dict[str, Any]
# What topics take, by name; one that is not there takes any record.
Limits: TypeAlias = "Mapping[str, TopicLimits]"
NO_LIMITS: Limits = MappingProxyType({})
Answer: TypeAlias = "Callable[[pa.RecordBatch], list[Row]]"
# What sees to it that a batch's outcomes are written, by itself; it returns those that it wrote.
Deliver: TypeAlias = "Callable[[pa.RecordBatch, Answer], list[Row]]"


def predictions(
    specs: Sequence[ModelSpec],
    *,
    results: str,
    dead_letters: str,
    limits: Limits = NO_LIMITS,
    load: ModelLoader = catalogue.load,
    deliver: Deliver | None = None,
) -> Callable[[DataFrame], DataFrame]:
    """Return a transform of records (`schemas.RECORD`) into outcomes (`schemas.OUTCOME`).

    For any DataFrame, streaming or not: `frame.transform(predictions(specs, ...))`. Only the column
    `value` is needed. Each row becomes one row, whose `topic` is `results` or `dead_letters`; rows
    keep their order within a partition. `limits` are what the topics take, by name; one that is not
    there takes any record. A result that its topic refuses becomes a dead letter; a dead letter
    that does not fit has only the headers that say where its message is, and why.
    `load` loads a model in a worker, and keeps it. With `deliver` the workers write the outcomes
    themselves; the rows only tell of them (`schemas.TOLD`).

    Raises:
        InvalidModels: Two entries answer the same messages.
        NoValueColumn: The frame has no column `value` (raised by the transform).
        WrongColumnType: A column of the frame cannot be what its name says (likewise).

    """
    Router(specs)  # refuses here, on the driver, what each worker would refuse
    schema = TOLD if deliver else OUTCOME
    arrow_schema = to_arrow_schema(schema)
    asked = dict(limits)  # a copy that can be pickled

    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        attempt = Attempt.current()
        with attempt.models(load) as load_model:
            # Only the small entries travel here; the models stay in the process between batches.
            predictor = Predictor(specs, load_model, clock=time.time)
            answered = partial(
                answer, predictor, results=results, dead_letters=dead_letters, limits=asked
            )
            deliver_or_pass = deliver or (lambda batch, answered: answered(batch))
            answers: Iterator[pa.RecordBatch] = (
                pa.RecordBatch.from_pylist(deliver_or_pass(batch, answered), schema=arrow_schema)
                for batch in attempt.slices(batches)
            )
            # The last attempt may have written some rows. Where this one will fail too, as while a
            # model is down, let it fail before it writes them again.
            yield from attempt.paced(answers, hold=deliver is None)
        settle("predictions")

    return lambda frame: frame.select(*record_columns(frame)).mapInArrow(on_worker, schema)


def answer(
    predictor: Predictor,
    batch: pa.RecordBatch,
    results: str,
    dead_letters: str,
    limits: Limits = NO_LIMITS,
    *,
    clock: Clock = time.time,
) -> list[Row]:
    """Return the outcomes (`schemas.OUTCOME`) of one Arrow batch, row by row."""
    messages = list(read_messages(batch))
    outcomes = predictor.predict(messages)
    now = clock()
    rows = []
    for message, outcome in zip(messages, outcomes, strict=True):
        row = (
            result_row(results, message, outcome, limits.get(results, ANY_RECORD))
            if isinstance(outcome, Prediction)
            else outcome
        )
        if isinstance(row, Failure):
            row = dead_letter_row(dead_letters, message, row, limits.get(dead_letters, ANY_RECORD))
        rows.append({**row, "latency": latency(message, now)})
    return rows


def result_row(
    topic: str, message: Message, prediction: Prediction, limits: TopicLimits
) -> Row | Failure:
    """Return a result (`schemas.OUTCOME`), or why its topic refuses it."""
    headers = encode_headers(message, prediction)
    if refusal := limits.refusal(message.key, prediction.value, headers):
        return Failure(refusal, prediction.model)
    return _row(topic, message.key, prediction.value, headers, prediction)


def dead_letter_row(topic: str, message: Message, failure: Failure, limits: TopicLimits) -> Row:
    """Return a dead letter (`schemas.OUTCOME`): the message as it came, if the topic takes it."""
    headers = encode_headers(message, failure)
    if limits.fit(message.key, message.value, headers):
        return _row(topic, message.key, message.value, headers, failure)
    return _row(topic, None, None, encode_truncated_headers(message, failure), failure)


def latency(message: Message, now: float) -> float | None:
    """Return the seconds from a message's timestamp to `now`, 0 where the clocks disagree.

    None where there is no timestamp, which Kafka writes as -1.
    """
    if message.timestamp is None or message.timestamp < 0:
        return None
    return max(0.0, now - message.timestamp / 1000)


def _row(
    topic: str, key: bytes | None, value: bytes | None, headers: list[Header], outcome: Outcome
) -> Row:
    return {
        "topic": topic,
        "key": key,
        "value": value,
        "headers": [{"key": name, "value": content} for name, content in headers],
        "model": outcome.model,
        "error": outcome.error_class if isinstance(outcome, Failure) else None,
    }


def read_messages(batch: pa.RecordBatch) -> Iterator[Message]:
    """Return the records of an Arrow batch (`schemas.RECORD`)."""
    columns = {name: batch.column(name) for name in RECORD.names}
    # Spark counts microseconds, Kafka milliseconds.
    columns["timestamp"] = columns["timestamp"].cast(pa.int64())
    for key, value, topic, partition, offset, timestamp, headers in zip(
        *(columns[name].to_pylist() for name in RECORD.names), strict=True
    ):
        yield Message(
            value=value,
            key=key,
            headers=tuple((h["key"] or "", h["value"]) for h in headers or () if h is not None),
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp=None if timestamp is None else timestamp // 1000,
        )
