"""Read outcomes back: those that a backfill has staged, and those that a stream has written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.batch.differences import Answer, Located
from tidemill.batch.formats.kafka import staged
from tidemill.batch.origin import SOURCE
from tidemill.batch.staging import DEAD_LETTERS, RESULTS
from tidemill.dead_letters import letters
from tidemill.inference import headers
from tidemill.inference.message import Message
from tidemill.kafka.reader import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidemill.batch.staging import Staging
    from tidemill.settings import KafkaSettings


def staged_lines(staging: Staging) -> Iterator[Located]:
    """Yield the outcomes of a folder of JSON lines."""
    for line in staging.lines(RESULTS):
        result = msgspec.json.decode(line)
        source = result.pop(SOURCE)
        answer = Answer(result, model=result.get("model"))
        yield from _numbered(str(source.get("partition")), str(source.get("offset")), answer)
    for line in staging.lines(DEAD_LETTERS):
        yield from _located_letter(msgspec.json.decode(line)["headers"])


def staged_records(staging: Staging) -> Iterator[Located]:
    """Yield the outcomes of records that wait to be sent."""
    for folder in (RESULTS, DEAD_LETTERS):
        for record in staged(staging, folder):
            message = Message(record.value, record.key, tuple(record.headers))
            yield from _located(message, is_result=folder == RESULTS)


def live_outcomes(
    kafka: KafkaSettings,
    source: tuple[str, Mapping[int, range]],
    topics: tuple[tuple[str, Mapping[int, range]], tuple[str, Mapping[int, range]]],
) -> Iterator[tuple[Located, int]]:
    """Yield the stream's outcomes of a range of a topic, and when each was written.

    `topics` are the offsets to read of the topic of results, and of that of dead letters.
    """
    name, wanted = source
    for topic, spans in topics:
        for record in records(kafka, topic, spans):
            for located in _located(record, is_result=topic == topics[0][0], topic=name):
                if located.offset in wanted.get(located.partition, ()):
                    yield located, record.timestamp or 0


def _located(record: Message, *, is_result: bool, topic: str | None = None) -> Iterator[Located]:
    """Yield a record's outcome, if it is one of a message of the topic."""
    if is_result:
        named = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
        source = named.get(headers.SOURCE_PARTITION), named.get(headers.SOURCE_OFFSET)
        model = named.get(headers.MODEL)
        answer = Answer(_decoded(record.value), model=model)
        if topic in {None, named.get(headers.SOURCE_TOPIC)}:
            yield from _numbered(*source, answer)
        return
    letter = letters.read(record)
    if letter is None or topic not in {None, letter.source_topic}:
        return
    if letter.source_partition is not None and letter.source_offset is not None:
        answer = Answer(error=letter.error, message=letter.message, model=letter.model)
        yield Located(letter.source_partition, letter.source_offset, answer)


def _located_letter(named: Mapping[str, str]) -> Iterator[Located]:
    answer = Answer(
        error=named.get(headers.ERROR_CLASS),
        message=named.get(headers.ERROR_MESSAGE),
        model=named.get(headers.MODEL),
    )
    source = named.get(headers.SOURCE_PARTITION), named.get(headers.SOURCE_OFFSET)
    yield from _numbered(*source, answer)


def _numbered(partition: str | None, offset: str | None, answer: Answer) -> Iterator[Located]:
    if partition and offset and partition.isdecimal() and offset.isdecimal():
        yield Located(int(partition), int(offset), answer)


def _decoded(value: bytes | None) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return msgspec.json.decode(value or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError):  # the stream did not write it
        return (value or b"").decode(errors="replace")
