"""What every message must come to, by a run of the predictor without Spark and without Kafka."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faults.outcomes import Outcome, timeless
from tidemill.inference.codec import encode_headers
from tidemill.inference.message import Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.models import catalogue

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
    predictor = Predictor(specs, catalogue.load, clock=time.time)
    found = {}
    for batch in _batches(inputs):
        messages = [_message(record) for record in batch]
        for record, message, said in zip(batch, messages, predictor.predict(messages), strict=True):
            topic, value = (
                (output, timeless(said.value))
                if isinstance(said, Prediction)
                else (dead_letters, message.value)
            )
            headers = tuple(encode_headers(message, said))
            at = (record.topic, record.partition, record.offset)
            found[at] = Outcome(topic, message.key, value, headers)
    return found


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
