"""The transform that runs on the workers: records in, outcomes out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.functions import col, lit
from pyspark.sql.pandas.types import to_arrow_schema

from app.inference.codec import encode_headers
from app.inference.message import Failure, Message
from app.inference.predictor import Predictor
from app.inference.router import Router
from app.models import catalogue
from app.streaming.schemas import OUTCOME, RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import Column, DataFrame

    from app.inference.model import ModelSpec

ARROW_OUTCOME = to_arrow_schema(OUTCOME)


def predictions(
    specs: Sequence[ModelSpec],
    *,
    results: str,
    dead_letters: str,
    max_result_bytes: int,
) -> Callable[[DataFrame], DataFrame]:
    """Return a transform of records (`schemas.RECORD`) into outcomes (`schemas.OUTCOME`).

    For any DataFrame, streaming or not: `frame.transform(predictions(specs, ...))`. Only the column
    `value` is needed. Each row becomes one row, whose `topic` is `results` or `dead_letters`; rows
    keep their order within a partition. `max_result_bytes` bounds a result with key and headers.

    Raises:
        InvalidModels: Two entries answer the same messages.

    """
    Router(specs)  # refuses here, on the driver, what each worker would refuse

    def on_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Only the small entries travel here; the models stay in this process between batches.
        predictor = Predictor(
            specs, catalogue.load, clock=time.time, max_result_bytes=max_result_bytes
        )
        for batch in batches:
            yield answer(predictor, batch, results, dead_letters)

    return lambda frame: frame.select(*_record_columns(frame)).mapInArrow(on_worker, OUTCOME)


def answer(
    predictor: Predictor, batch: pa.RecordBatch, results: str, dead_letters: str
) -> pa.RecordBatch:
    """Return the outcomes of one Arrow batch, row by row."""
    messages = list(read_messages(batch))
    outcomes = predictor.predict(messages)
    rows = [
        {
            "topic": dead_letters if isinstance(outcome, Failure) else results,
            "key": message.key,
            "value": message.value if isinstance(outcome, Failure) else outcome.value,
            "headers": [
                {"key": name, "value": value} for name, value in encode_headers(message, outcome)
            ],
        }
        for message, outcome in zip(messages, outcomes, strict=True)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=ARROW_OUTCOME)


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
            headers=tuple((header["key"], header["value"]) for header in headers or ()),
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp=None if timestamp is None else timestamp // 1000,
        )


def _record_columns(frame: DataFrame) -> list[Column]:
    return [
        (col(field.name) if field.name in frame.columns else lit(None))
        .cast(field.dataType)
        .alias(field.name)
        for field in RECORD
    ]
