"""Compute the expected outcome of every message: run the predictor without Spark and Kafka."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faults.outcomes import Outcome, without_times
from tidemill.inference.engine import local_engine
from tidemill.inference.headers import encode_headers
from tidemill.inference.message import Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes
from tidemill.models import host

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dev.pipeline.records import Record
    from faults.outcomes import Source
    from tidemill.inference.model import ModelSpec

BATCH = 256


def expected(
    inputs: Sequence[Record], specs: Sequence[ModelSpec], output: str, dead_letters: str
) -> dict[Source, Outcome]:
    """Return the one outcome of each message."""
    predictor = Predictor(single_routes(specs), local_engine(host.load, clock=time.time))
    outcomes = {}
    for batch in _batches(inputs):
        messages = [_message(record) for record in batch]
        results = predictor.predict(messages)
        for record, message, result in zip(batch, messages, results, strict=True):
            topic, value = (
                (output, without_times(result.value))
                if isinstance(result, Prediction)
                else (dead_letters, message.value)
            )
            headers = tuple(encode_headers(message, result))
            source = (record.topic, record.partition, record.offset)
            outcomes[source] = Outcome(topic, message.key, value, headers)
    return outcomes


def _batches(inputs: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for start in range(0, len(inputs), BATCH):
        yield inputs[start : start + BATCH]


def _message(record: Record) -> Message:
    return Message(
        value=record.value,
        key=record.key,
        headers=tuple(record.headers),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
    )
