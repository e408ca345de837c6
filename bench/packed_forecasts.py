"""Open an artifact, forecast with all of its models, and print what that takes, as JSON.

`python -m bench.packed_forecasts FOLDER WAY SAMPLES RUNS`: a process of its own, whose memory is
that of nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from examples.forecasts import sales
from tidemill.models.adapters.packed import Packed
from tidemill.packing import frames
from tidemill.packing.models import PackedModels
from tidemill.packing.queries import Options, Query

if TYPE_CHECKING:
    from collections.abc import Callable


def memory(file: str, field: str) -> float:
    """Return the MiB in a field of a file of this process (proc(5))."""
    for line in Path("/proc/self", file).read_text("utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def queries(models: PackedModels, options: Options) -> Callable[[], int]:
    """Return what asks from Python, with an array of dates and one of prices for each model."""
    plan = sales.plan()
    dates = plan["ds"].to_numpy("datetime64[ns]").astype(np.int64)
    columns = {"price": plan["price"].to_numpy()}
    asked = [Query(key, dates, columns) for key in models.artifact]
    return lambda: sum("yhat" in each for each in models.predict(asked, options))  # type: ignore[operator]


def texts(models: PackedModels, options: Options) -> Callable[[], int]:
    """Return what asks the adapter in JSON, one text for each model, and gets JSON."""
    adapter = Packed(str(models.artifact.folder), samples=options.samples)
    plan = sales.plan()
    asked = {"ds": plan["ds"].dt.strftime("%Y-%m-%d").tolist(), "price": plan["price"].tolist()}
    inputs = [json.dumps({"model_key": key, **asked}) for key in models.artifact]
    return lambda: sum('"yhat"' in each for each in adapter.predict_all(inputs))


def table(models: PackedModels, options: Options) -> Callable[[], int]:
    """Return what asks with a row for each model and date, as the model of MLflow does."""
    plan, keys = sales.plan(), [*models.artifact]
    frame = pd.concat([plan] * len(keys), ignore_index=True)
    frame["model_key"] = np.repeat(keys, len(plan))
    return lambda: int(
        frames.predict(models, frame, options)["yhat"]
        .notna()
        .groupby(frame["model_key"])
        .all()
        .sum()
    )


WAYS = {"queries": queries, "JSON": texts, "table": table}


def main() -> None:
    """Measure, and print it."""
    folder, way, samples, runs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    found: dict[str, Any] = {"MiB before": memory("smaps_rollup", "Pss")}
    start = time.perf_counter()
    models = PackedModels.open(folder)
    found["open s"] = time.perf_counter() - start
    found["MiB"] = memory("smaps_rollup", "Pss")
    found["models"] = len(models.artifact)
    ask = WAYS[way](models, Options(samples=samples))
    seconds, cpu = [], []
    for _ in range(runs):
        start, used = time.perf_counter(), time.process_time()
        assert ask() == len(models.artifact)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    found |= {"first s": seconds[0], "s": min(seconds), "CPU s": min(cpu)}
    found["peak MiB"] = memory("status", "VmHWM")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
