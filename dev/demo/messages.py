"""Send the demo's messages and match the answers to them, by partition and offset."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka import KafkaConsumer, KafkaProducer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path


class Source(NamedTuple):
    """A message's partition and offset in the input topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A result or a dead letter, as the demo shows it."""

    source: Source
    latency_ms: int
    entities: tuple[tuple[str, str], ...] = ()
    error: str | None = None


def read_lines(file: Path) -> list[bytes]:
    """Return a file's lines as bytes, without empty ones; some are invalid on purpose."""
    return [line for line in file.read_bytes().splitlines() if line.strip()]


def send(bootstrap_servers: str, topic: str, lines: Sequence[bytes]) -> dict[Source, str]:
    """Send each line as a message; return the text of each message."""
    with closing(KafkaProducer(bootstrap_servers=bootstrap_servers)) as producer:
        sent = [producer.send(topic, line, key=field(line, "uuid")) for line in lines]
        metadata = [future.get(30) for future in sent]
    texts = [(field(line, "text") or line).decode() for line in lines]
    return {
        Source(record.partition, record.offset): text
        for record, text in zip(metadata, texts, strict=True)
    }


def field(line: bytes, name: str) -> bytes | None:
    """Return a field of a JSON object as text, or None if there is none."""
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(line)[name]).encode()
    return None


def follow(bootstrap_servers: str, *topics: str) -> KafkaConsumer:
    """Return a consumer without a group that reads committed answers from the beginning."""
    return KafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )


def poll(consumer: KafkaConsumer) -> list[Answer]:
    """Return new answers; wait for at most a fifth of a second."""
    return [read(record) for batch in consumer.poll(200).values() for record in batch]


def read(record: Any) -> Answer:  # noqa: ANN401 - kafka-python is not typed
    """Return the answer in a record; a dead letter has headers about its error."""
    headers = {name: value.decode() for name, value in record.headers if value is not None}
    source = Source(
        int(headers["tidemill.source.partition"]), int(headers["tidemill.source.offset"])
    )
    latency_ms = record.timestamp - int(headers["tidemill.source.timestamp"])
    if kind := headers.get("tidemill.error.class"):
        error = f"{kind}: {headers.get('tidemill.error.message', '')}"
        return Answer(source, latency_ms, error=error)
    entities = json.loads(record.value)["ner"]
    return Answer(source, latency_ms, tuple((it["entity"], it["category"]) for it in entities))


def problems(sent: Collection[Source], answers: Iterable[Answer]) -> list[str]:
    """Return a line for each way in which messages did not get exactly one answer."""
    count = Counter(answer.source for answer in answers)
    messages = {
        "not answered": [source for source in sent if not count[source]],
        "answered more than once": [source for source in sent if count[source] > 1],
        "answered but never sent": [source for source in count if source not in sent],
    }
    return [
        f"{len(sources)} message(s) {problem} ({', '.join(f'{p}/{o}' for p, o in sources)})"
        for problem, sources in messages.items()
        if sources
    ]
