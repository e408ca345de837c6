"""The texts that all contenders answer."""

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
    """Yield messages as arguments of confluent-kafka's `produce`; repeat the corpus if needed.

    The order is random but reproducible, so that all parts are alike. The key is the text's uuid.
    """
    with gzip.open(FILE) as lines:
        corpus = [line.strip() for line in lines]
    random.Random(7).shuffle(corpus)  # noqa: S311 - no secret
    for line in itertools.islice(itertools.cycle(corpus), count):
        yield {"value": line, "key": json.loads(line)["uuid"].encode()}


def texts(count: int) -> list[str]:
    """Return the texts of the same messages."""
    return [json.loads(message["value"])["text"] for message in messages(count)]
