"""pandas in one process: read a file, give the model lists, write a file.

`python -m bench.contenders.batch_pandas MODEL SOURCE TARGET FORMAT`
"""

from __future__ import annotations

import sys
import time

import pandas as pd

from bench.contenders import batch_model


def main() -> None:
    """Answer all rows."""
    name, source, target, kind = sys.argv[1:]
    model = batch_model.load(name)
    begin = time.time()
    if kind == "parquet":
        frame = pd.read_parquet(source)
        frame["out"] = model.predict_all(frame["text"].tolist())
        frame.to_parquet(target, index=False)
    else:
        frame = pd.read_json(source, lines=True, dtype=False)
        frame["out"] = model.predict_all(frame["text"].tolist())
        frame.to_json(target, orient="records", lines=True)
    batch_model.done(begin)


if __name__ == "__main__":
    main()
