"""Named entities by spaCy."""

from __future__ import annotations

from typing import Any

import msgspec
import spacy

# What the entities do not depend on. `parser` is not among them: it sets sentence borders, which no
# entity crosses; without it 2 of 2,598 English texts had other entities, at half the cost.
UNUSED_PIPES = ("tagger", "morphologizer", "attribute_ruler", "lemmatizer", "senter")

# Texts in a batch of spaCy's. Its own 256 are no faster and take more memory: 770 MiB and more for
# two workers, rather than 560.
BATCH_SIZE = 64


class SpacyNer:
    """Answer each text with a JSON list of `{"entity", "category", "start", "end"}`.

    `start` and `end` are offsets in characters of the text, the end not included.
    """

    def __init__(self, package: str, exclude: list[str] | None = None) -> None:
        """Load an installed spaCy package by name, without the components named in `exclude`."""
        self._nlp = spacy.load(package, exclude=UNUSED_PIPES if exclude is None else exclude)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Find the entities of every text."""
        docs = self._nlp.pipe(inputs, batch_size=BATCH_SIZE)
        return [msgspec.json.encode(_entities(doc)).decode() for doc in docs]


def _entities(doc: Any) -> list[dict[str, object]]:  # noqa: ANN401 - spaCy's Doc is a C extension
    return [
        {
            "entity": span.text,
            "category": span.label_,
            "start": span.start_char,
            "end": span.end_char,
        }
        for span in doc.ents
    ]
