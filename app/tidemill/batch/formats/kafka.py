"""Read ranges of offsets of a topic, and write to topics in one transaction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog

from tidemill.batch.block import Block, in_blocks
from tidemill.batch.formats import Format
from tidemill.batch.offset_range import find_offsets
from tidemill.batch.plan import Piece, Source
from tidemill.batch.staging import DEAD_LETTERS, RESULTS
from tidemill.errors import TopicMissing
from tidemill.inference.message import Failure
from tidemill.kafka.outcome_record import outcome_record
from tidemill.kafka.ranges import offset_ranges, offsets_at, topic_id
from tidemill.kafka.reader import records
from tidemill.kafka.record_size import batch_bytes
from tidemill.kafka.single_transaction import Sending, send_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidemill.batch.block import Part
    from tidemill.batch.offset_range import Range
    from tidemill.batch.staging import Staging
    from tidemill.inference.message import Header, Message, Outcome
    from tidemill.kafka.record_size import OutputTopic
    from tidemill.settings import KafkaSettings

log = structlog.get_logger(__name__)

# Below Kafka's default of 1 MiB for the largest batch of records, and then of the topics.
BATCH_BYTES = 1_000_000


class Staged(msgspec.Struct, array_like=True):
    """A record that waits in a part, as a line of JSON; its bytes are base64."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def kafka_format(
    kafka: KafkaSettings, wanted: Range, part_rows: int, outputs: Sequence[OutputTopic] = ()
) -> Format:
    """Return the format of topics: the range to read, and the topics to write, if any."""
    return Format(
        partial(plan, kafka, wanted, part_rows),
        partial(read, kafka),
        partial(encode, outputs),
        ".jsonl",
        partial(finish, kafka, outputs),
        by_offset=True,
        limit=partial(limit, outputs),
    )


def plan(
    kafka: KafkaSettings, wanted: Range, part_rows: int, topic: str, _: int | None
) -> tuple[Source, list[Piece]]:
    """Return the offsets of a range by now, in pieces of at most so many offsets.

    Raises:
        TopicMissing: The topic does not exist.
        InvalidSelection: The range names a partition that does not exist.

    """
    spans = offset_ranges(kafka, topic, kafka.isolation_level)
    if not spans:
        raise TopicMissing(topic)
    ranges, warnings = find_offsets(wanted, spans, partial(offsets_at, kafka, topic, spans))
    pieces = [
        Piece(str(partition), start, stop, size=stop - start)
        for partition, offsets in sorted(ranges.items())
        for start in offsets[::part_rows]
        for stop in [min(start + part_rows, offsets.stop)]
    ]
    fingerprint = f"{topic_id(kafka, topic)} {wanted.text}"
    return Source("kafka", topic, fingerprint=fingerprint, warnings=warnings), pieces


def read(kafka: KafkaSettings, source: Source, piece: Piece) -> Iterator[Block]:
    """Yield the messages of a stretch of a partition; a block counts the offsets that are gone.

    Raises:
        KafkaAuthFailed, BrokerUnreachable: The topic cannot be read.

    """
    offsets = range(piece.start, piece.stop or 0)
    gone = 0

    def note(_: int, lost: range) -> None:
        nonlocal gone
        gone += len(lost)

    messages = records(
        kafka,
        source.location,
        {int(piece.path): offsets},
        isolation_level=kafka.isolation_level,
        on_missing=note,
    )
    for block in in_blocks((m, (m.offset or 0) + 1 - piece.start) for m in messages):
        yield Block(block.messages, block.size, missing=gone)
        gone = 0
    if gone:
        yield Block([], gone, missing=gone)


def limit(outputs: Sequence[OutputTopic], message: Message, outcome: Outcome) -> Outcome:
    """Return an outcome as its topic accepts it: a result may become a dead letter."""
    return outcome_record(message, outcome, *(topic.limits for topic in outputs)).outcome


def encode(outputs: Sequence[OutputTopic], part: Part) -> tuple[bytes, bytes]:
    """Return the records of the results and of the dead letters as lines."""
    limits = [topic.limits for topic in outputs]
    results: list[bytes] = []
    dead_letters: list[bytes] = []
    for message, outcome in part.pairs():
        record = outcome_record(message, outcome, *limits)
        line = msgspec.json.encode(Staged(record.key, record.value, record.headers)) + b"\n"
        (dead_letters if isinstance(record.outcome, Failure) else results).append(line)
    return b"".join(results), b"".join(dead_letters)


def finish(kafka: KafkaSettings, outputs: Sequence[OutputTopic], staging: Staging) -> None:
    """Send all records of a run in one transaction, unless that has been done; drop the files.

    Raises:
        NotSent: Kafka refuses, or does not answer.

    """
    run = staging.plan()
    name = f"tidemill-batch-{run.id if run else ''}"
    log.info("sending the results in one transaction", topic=outputs[0].name, group=name)
    send_once(
        kafka,
        name,
        outputs[0].name,
        _sendings(outputs, staging),
        batch_bytes=batch_bytes([topic.limits for topic in outputs], BATCH_BYTES),
    )
    staging.drop_parts()


def staged(staging: Staging, folder: str) -> Iterator[Staged]:
    """Yield the records of the committed parts in a folder."""
    for line in staging.lines(folder):
        yield msgspec.json.decode(line, type=Staged)


def _sendings(outputs: Sequence[OutputTopic], staging: Staging) -> Iterator[Sending]:
    for topic, folder in zip(outputs, (RESULTS, DEAD_LETTERS), strict=True):
        for record in staged(staging, folder):
            headers: list[Header] = record.headers
            yield Sending(topic.name, record.key, record.value, headers)
