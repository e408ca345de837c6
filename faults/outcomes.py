"""A record of an output topic, as far as it is the same at every run, and its message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from dev.pipeline.records import Record

# Topic, partition and offset of a message.
Source: TypeAlias = tuple[str, int, int]
Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]

TIMES = re.compile(rb'"ts_start":"[^"]*","ts_end":"[^"]*","process_time":[^,]*,')


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result or a dead letter, without the times that differ from run to run."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def timeless(value: bytes | None) -> bytes | None:
    """Return a result's JSON with a mark where the times of the model's call stood."""
    return value if value is None else TIMES.sub(b'"times":0,', value)


def outcome(record: Record, output: str) -> Outcome:
    """Return what a record of the output topic `output`, or of the dead letters, says."""
    value = timeless(record.value) if record.topic == output else record.value
    return Outcome(record.topic, record.key, value, tuple(record.headers))


def source(record: Record) -> Source | None:
    """Return the message that a record is the outcome of; None where its headers do not say."""
    topic, partition, offset = (
        record.header(f"tidemill.source.{name}") for name in ("topic", "partition", "offset")
    )
    try:
        return (str(topic), int(partition or ""), int(offset or "")) if topic else None
    except ValueError:
        return None
