"""Read one record of a topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors import NoRecord
from tidemill.kafka.ranges import in_words, offset_ranges
from tidemill.kafka.reader import records

if TYPE_CHECKING:
    from tidemill.inference.message import Message
    from tidemill.settings import KafkaSettings


def record_at(kafka: KafkaSettings, topic: str, partition: int, offset: int) -> Message:
    """Return the record at an offset, as a job with these settings sees it.

    Raises:
        NoRecord: There is none; the error says which offsets there are.
        KafkaAuthFailed: The broker refuses the credentials.
        BrokerUnreachable: The broker does not answer.

    """
    place = f"{topic}/{partition}/{offset}"
    spans = offset_ranges(kafka, topic, kafka.isolation_level)
    span = spans.get(partition)
    if not spans:
        raise NoRecord(place, f"there is no topic {topic}, or no right to see it")
    if span is None:
        last = max(spans)
        raise NoRecord(place, f"{topic} has partitions 0 to {last}")
    if offset not in span:
        raise NoRecord(place, in_words(topic, span))
    rest = {partition: range(offset, span.stop)}
    for record in records(kafka, topic, rest, kafka.isolation_level):
        if record.offset == offset:
            return record
        next_one = f"the next record is at {record.offset}"
        break
    else:
        next_one = "no record follows"
    reason = f"compacted, aborted, or a transaction's marker; {next_one}; {in_words(topic, span)}"
    raise NoRecord(place, reason)
