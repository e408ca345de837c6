"""The transform that runs on the workers: records in, outcomes out."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from app.inference.codec import encode_headers, encode_omission
from app.inference.message import Failure, Header, Message, Outcome, Prediction
from app.inference.predictor import Predictor
from app.inference.router import Router
from app.models import catalogue
from app.streaming.attempt import Attempt
from app.streaming.columns import record_columns
from app.streaming.schemas import OUTCOME, RECORD, TOLD
from app.streaming.sizes import fits
from app.streaming.warmup import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import DataFrame

    from app.inference.model import Load, ModelSpec
    from app.inference.predictor import Clock

Row: TypeAlias = dict[str, Any]
# Whether the sink takes a record: its key, value and headers.
Takes: TypeAlias = "Callable[[bytes | None, bytes | None, list[Header]], bool]"
ANY_SIZE: Takes = partial(fits, limit=0, compression=None)
Answer: TypeAlias = "Callable[[pa.RecordBatch], list[Row]]"
# What sees to it that a batch's outcomes are written, by itself; it returns those that it wrote.
Deliver: TypeAlias = "Callable[[pa.RecordBatch, Answer], list[Row]]"


def predictions(
    specs: Sequence[ModelSpec],
    *,
    results: str,
    dead_letters: str,
    max_result_bytes: int,
    compression: str | None = None,
    load: Load = catalogue.load,
    deliver: Deliver | None = None,
) -> Callable[[DataFrame], DataFrame]:
    """Return a transform of records (`schemas.RECORD`) into outcomes (`schemas.OUTCOME`).

    For any DataFrame, streaming or not: `frame.transform(predictions(specs, ...))`. Only the column
    `value` is needed. Each row becomes one row, whose `topic` is `results` or `dead_letters`; rows
    keep their order within a partition. `max_result_bytes` bounds a result with key and headers;
    with `compression` (the sink's, as Kafka names it) dead letters too must fit into that, as
    compressed: one that does not has only the headers that say where its message is, and why.
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

    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        attempt = Attempt.current()
        with attempt.models(load) as load_model:
            # Only the small entries travel here; the models stay in the process between batches.
            predictor = Predictor(
                specs, load_model, clock=time.time, max_result_bytes=max_result_bytes
            )
            takes = partial(fits, limit=max_result_bytes, compression=compression)
            answered = partial(
                answer, predictor, results=results, dead_letters=dead_letters, takes=takes
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
    takes: Takes = ANY_SIZE,
    *,
    clock: Clock = time.time,
) -> list[Row]:
    """Return the outcomes (`schemas.OUTCOME`) of one Arrow batch, row by row."""
    messages = list(read_messages(batch))
    outcomes = predictor.predict(messages)
    now = clock()
    return [
        {
            **(
                result_row(results, message, outcome)
                if isinstance(outcome, Prediction)
                else dead_letter_row(dead_letters, message, outcome, takes)
            ),
            "latency": latency(message, now),
        }
        for message, outcome in zip(messages, outcomes, strict=True)
    ]


def result_row(topic: str, message: Message, prediction: Prediction) -> Row:
    """Return a result (`schemas.OUTCOME`)."""
    headers = encode_headers(message, prediction)
    return _row(topic, message.key, prediction.value, headers, prediction)


def dead_letter_row(topic: str, message: Message, failure: Failure, takes: Takes) -> Row:
    """Return a dead letter (`schemas.OUTCOME`): the message as it came, where the sink takes it."""
    headers = encode_headers(message, failure)
    if takes(message.key, message.value, headers):
        return _row(topic, message.key, message.value, headers, failure)
    return _row(topic, None, None, encode_omission(message, failure), failure)


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
