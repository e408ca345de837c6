"""Shared by the contenders that read and write files: the models, and when the work begins."""

from __future__ import annotations

import json
import sys
import time
from typing import Final

from bench.contenders.common import PACKAGE
from bench.noop_model import Noop
from tidemill.models.adapters.spacy_ner import SpacyNer

# Each model by its name: what models.yaml would say, and what constructs it.
ENTRIES: Final[dict[str, dict[str, object]]] = {
    "ner": {"adapter": "spacy-ner", "options": {"package": PACKAGE}},
    "noop": {"adapter": "bench.noop_model:Noop"},
}
FIELDS: Final = ("uuid", "text")


def load(name: str) -> SpacyNer | Noop:
    """Return a model that is ready to work."""
    model = SpacyNer(PACKAGE) if name == "ner" else Noop()
    model.predict_all(["Ada Lovelace met Charles Babbage in London in 1833."])
    return model


def done(begin: float) -> None:
    """Print when the work, after the start, began and ended, in seconds since the epoch."""
    json.dump({"begin": begin, "end": time.time()}, sys.stdout)
