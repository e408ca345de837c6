"""Recognise named entities with spaCy."""

from __future__ import annotations

from typing import Any

import msgspec

from tidemill import extras

with extras.required():
    import spacy

# Components that entities do not depend on. The parser is needed, as no entity crosses the sentence
# borders that it sets: without it, at half the cost, 2 of 2,598 English texts had other entities.
UNUSED_PIPES = ("tagger", "morphologizer", "attribute_ruler", "lemmatizer", "senter")

# Texts in one batch of spaCy's pipeline. Its default of 256 is no faster, and two workers then take
# 770 MiB of memory instead of 560.
BATCH_SIZE = 64


class SpacyNer:
    """Return for each text a JSON list of `{"entity", "category", "start", "end"}`.

    `start` and `end` are offsets in characters; the end is exclusive.
    """

    def __init__(self, package: str, exclude: list[str] | None = None) -> None:
        """Load an installed spaCy package, without the components named in `exclude`."""
        self._nlp = spacy.load(package, exclude=UNUSED_PIPES if exclude is None else exclude)

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the entities of each text."""
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
