"""What models cost in memory when several workers have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench import testbed
from bench.corpus import messages
from bench.throughput import wait_for_all
from dev import PYTHONPATH, ROOT
from dev.pipeline import records
from faults import gauges

if TYPE_CHECKING:
    from rich.console import Console

    from dev.pipeline.pipeline import Pipeline


WORKERS = (1, 2, 4)
TEXTS = 2000
# How the workers get their models: from the daemon that forks them, or each by itself.
DAEMONS = {"shared": "tidemill.spark.daemon", "each its own": "pyspark.daemon"}
LOAD = """
import sys
from pathlib import Path
from tidemill.models import catalogue
for spec in catalogue.read(Path("models.yaml")) if sys.argv[1:] else ():
    catalogue.load(spec)
print("ready", flush=True)
sys.stdin.read()
"""


def alone(*, loaded: bool) -> float:
    """Return the PSS, in MiB, of a Python process with the shipped models, or without."""
    command = [sys.executable, "-c", LOAD, *(["models"] if loaded else [])]
    environment = {**os.environ, **testbed.THREADS, "PYTHONPATH": PYTHONPATH}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return gauges.pss(process.pid)


def job(at: Pipeline, workers: int, daemon: str, *, models: bool) -> float:
    """Return the PSS, in MiB, of a job's workers and their daemon, once they have worked."""
    spark = {"spark.master": f"local[{workers},4]", "spark.python.daemon.module": daemon}
    settings = {"SPARK": json.dumps(spark)}
    environment = testbed.shipped(at, **settings) if models else testbed.waiting(at, {}, **settings)
    records.produce(at.broker.bootstrap_servers, at.source, *messages(TEXTS))
    with at.program(environment) as program:
        wait_for_all(at, TEXTS, program.must_run)
        return gauges.measure(program.process.pid, at.folder)["workers MiB"]


def measure(console: Console) -> dict[str, Any]:
    """Measure both ways at each number of workers, with the models and with one that is nothing."""
    model = alone(loaded=True) - alone(loaded=False)
    console.print(f"the models: {model:.0f} MiB")
    found: dict[str, Any] = {"model": round(model, 1)}
    with testbed.broker() as (running, folder):
        for name, daemon in DAEMONS.items():
            found[name] = []
            for workers in WORKERS:
                fixed, full = (
                    job(testbed.pipeline(running, folder), workers, daemon, models=models)
                    for models in (False, True)
                )
                found[name].append([workers, round(fixed, 1), round(full, 1)])
                console.print(
                    f"{name}, {workers} workers: {fixed:.0f} MiB without, {full:.0f} with"
                )
    return found
