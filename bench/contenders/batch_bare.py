"""The limit: a model and its inputs in memory, without files.

`python -m bench.contenders.batch_bare MODEL SOURCE TARGET FORMAT PROCESSES` runs spaCy's `nlp.pipe`
in so many processes, or else `predict_all` in one. It writes the answers after it took the time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec
from pyarrow import json, parquet

from bench.contenders import batch_model, common
from tidemill.models.adapters.spacy_ner import BATCH_SIZE


def main() -> None:
    """Answer all inputs, and then write the answers."""
    model, source, target, kind, processes = sys.argv[1:]
    table = parquet.read_table(source) if kind == "parquet" else json.read_json(source)
    ids, texts = (table.column(name).to_pylist() for name in batch_model.FIELDS)
    if model == "ner":
        nlp = common.load()
        batch_model.load(model)
        begin = time.time()
        docs = nlp.pipe(texts, batch_size=BATCH_SIZE, n_process=int(processes))
        answers: list[object] = [common.entities(doc) for doc in docs]
    else:
        noop = batch_model.load(model)
        begin = time.time()
        answers = [*noop.predict_all(texts)]
    batch_model.done(begin)
    lines = [
        msgspec.json.encode({"uuid": uuid, "out": answer})
        for uuid, answer in zip(ids, answers, strict=True)
    ]
    Path(target).write_bytes(b"\n".join(lines))


if __name__ == "__main__":
    main()
