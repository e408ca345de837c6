"""Forecast with models of Prophet, one after the other.

`python -m bench.contenders.prophet_loop SAMPLES FILE…` loads the models, prints a line of JSON,
waits for a line, forecasts, and prints another line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bench.packed_forecasts import memory
from examples.forecasts import fit, sales


def main() -> None:
    """Measure, and print it."""
    samples, files = int(sys.argv[1]), [Path(file) for file in sys.argv[2:]]
    before, start = memory("smaps_rollup", "Pss"), time.perf_counter()
    models = fit.load(files)
    loaded = time.perf_counter() - start
    used = memory("smaps_rollup", "Pss") - before
    print(json.dumps({"load s": loaded, "MiB": used}), flush=True)
    sys.stdin.readline()
    plan = sales.plan()
    start, cpu = time.perf_counter(), time.process_time()
    for model in models.values():
        model.uncertainty_samples = samples
        assert len(model.predict(plan)) == len(plan)
    took = {"s": time.perf_counter() - start, "CPU s": time.process_time() - cpu}
    print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
