"""What the demo sends, and the answers that it gets: each is known by where its message lies."""

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
    """Where a message lies in the input topic."""

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
    """Return a file's lines that are not empty, as they are: some are broken on purpose."""
    return [line for line in file.read_bytes().splitlines() if line.strip()]


def send(bootstrap_servers: str, topic: str, lines: Sequence[bytes]) -> dict[Source, str]:
    """Send each line as a message; return the texts by their messages' places."""
    with closing(KafkaProducer(bootstrap_servers=bootstrap_servers)) as producer:
        sent = [producer.send(topic, line, key=field(line, "uuid")) for line in lines]
        places = [future.get(30) for future in sent]
    texts = [(field(line, "text") or line).decode() for line in lines]
    return {Source(at.partition, at.offset): text for at, text in zip(places, texts, strict=True)}


def field(line: bytes, name: str) -> bytes | None:
    """Return a text field of a JSON object, None where there is none."""
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(line)[name]).encode()
    return None


def follow(bootstrap_servers: str, *topics: str) -> KafkaConsumer:
    """Return a consumer that reads committed answers from the start and belongs to no group."""
    return KafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )


def poll(consumer: KafkaConsumer) -> list[Answer]:
    """Return the answers that have come, after a fifth of a second at the latest."""
    return [read(record) for batch in consumer.poll(200).values() for record in batch]


def read(record: Any) -> Answer:  # noqa: ANN401 - kafka-python is not typed
    """Turn a record of either output topic into an answer: a dead letter has an error's headers."""
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


def flaws(sent: Collection[Source], answers: Iterable[Answer]) -> list[str]:
    """Name what keeps the answers from being exactly one for each message; nothing where they are.

    A message that was answered twice shows here as much as one that was not answered.
    """
    count = Counter(answer.source for answer in answers)
    found = {
        "not answered": [source for source in sent if not count[source]],
        "answered more than once": [source for source in sent if count[source] > 1],
        "answered but never sent": [source for source in count if source not in sent],
    }
    return [
        f"{len(sources)} message(s) {flaw} ({', '.join(f'{p}/{o}' for p, o in sources)})"
        for flaw, sources in found.items()
        if sources
    ]
