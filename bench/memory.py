"""Measure the memory of a job's Python processes: workers, their daemon, and the models' pool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench import pool_memory, testbed
from bench.corpus import messages
from bench.rates import wait_for_all
from dev import PYTHONPATH, ROOT
from dev.pipeline import records
from faults import gauges

if TYPE_CHECKING:
    from rich.console import Console

    from dev.pipeline.pipeline import Pipeline


WORKERS = (1, 2, 4)
CORES = os.cpu_count() or 1
TEXTS = 2000
DELIVERIES = ("at-least-once", "exactly-once")
LOAD = """
import sys
from pathlib import Path
from tidemill.inference.route import all_specs
from tidemill.models import catalogue, host
for spec in all_specs(catalogue.load_models(Path("models.yaml"))) if sys.argv[1:] else ():
    host.load(spec)
print("ready", flush=True)
sys.stdin.read()
"""


def alone(*, loaded: bool) -> float:
    """Return the PSS in MiB of a Python process, with or without the shipped models."""
    command = [sys.executable, "-c", LOAD, *(["models"] if loaded else [])]
    environment = {**os.environ, **testbed.THREADS, "PYTHONPATH": PYTHONPATH}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return gauges.pss(process.pid)


def job(pipeline: Pipeline, workers: int, delivery: str, *, models: bool) -> float:
    """Return the PSS in MiB of a job's Python processes but the driver, after they have worked."""
    settings = {
        "SPARK": json.dumps({"spark.master": f"local[{workers},4]"}),
        "POOL__PROCESSES": str(CORES),  # the default, unless there are fewer workers
    }
    environment = (
        testbed.shipped(pipeline, delivery, **settings)
        if models
        else testbed.sleeping(pipeline, {}, STREAM__DELIVERY=delivery, **settings)
    )
    records.produce(pipeline.broker.bootstrap_servers, pipeline.source, *messages(TEXTS))
    with pipeline.program(environment) as program:
        wait_for_all(pipeline, TEXTS, program.must_run)
        return gauges.measure(program.process.pid, pipeline.folder)["workers MiB"]


def measure(console: Console) -> dict[str, Any]:
    """Measure jobs, with the models and with an empty one, and pools without a job."""
    model = alone(loaded=True) - alone(loaded=False)
    console.print(f"the models: {model:.0f} MiB")
    results: dict[str, Any] = {"model": round(model, 1), "pool": pool_memory.measure(console)}
    with testbed.broker() as (broker, folder):
        for name in DELIVERIES:
            results[name] = []
            for workers in WORKERS:
                fixed, full = (
                    job(testbed.make_pipeline(broker, folder), workers, name, models=models)
                    for models in (False, True)
                )
                results[name].append([workers, round(fixed, 1), round(full, 1)])
                console.print(
                    f"{name}, {workers} workers: {fixed:.0f} MiB without, {full:.0f} with"
                )
    return results
