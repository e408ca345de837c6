"""Compare records of the output topics: find their message, and leave out times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from dev.pipeline.records import Record

# Topic, partition and offset of a message.
Source: TypeAlias = tuple[str, int, int]
Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]

START = re.compile(rb'"ts_start":"([^"]*)"')
TIMES = re.compile(rb'"ts_start":"[^"]*","ts_end":"[^"]*","process_time":[^,]*,')


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result or a dead letter, without the times that differ between runs."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def without_times(value: bytes | None) -> bytes | None:
    """Return a result's JSON with a placeholder for the times of the model's call."""
    return value if value is None else TIMES.sub(b'"times":0,', value)


def model_start(value: bytes | None) -> float:
    """Return when the model's call began, in seconds since the epoch; 0 if a value is no result."""
    match = START.search(value or b"")
    return datetime.fromisoformat(match[1].decode()).timestamp() if match else 0.0


def outcome(record: Record, output: str) -> Outcome:
    """Return the outcome in a record of the output topic `output` or of the dead-letter topic."""
    value = without_times(record.value) if record.topic == output else record.value
    return Outcome(record.topic, record.key, value, tuple(record.headers))


def source(record: Record) -> Source | None:
    """Return the message that an outcome's headers name, or None if they name none."""
    topic, partition, offset = (
        record.header(f"tidemill.source.{name}") for name in ("topic", "partition", "offset")
    )
    try:
        return (str(topic), int(partition or ""), int(offset or "")) if topic else None
    except ValueError:
        return None
