"""The texts that every contender answers, as messages."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).with_name("texts.jsonl.gz")


def messages(count: int) -> Iterator[dict[str, bytes]]:
    """Yield so many messages, the corpus over and over, as confluent-kafka's `produce` takes them.

    In an order that is random but always the same, so that any part is much like another. Each
    text's key is its uuid.
    """
    with gzip.open(FILE) as lines:
        corpus = [line.strip() for line in lines]
    random.Random(7).shuffle(corpus)  # noqa: S311 - no secret
    for line in itertools.islice(itertools.cycle(corpus), count):
        yield {"value": line, "key": json.loads(line)["uuid"].encode()}


def texts(count: int) -> list[str]:
    """Return the texts of so many messages."""
    return [json.loads(message["value"])["text"] for message in messages(count)]
