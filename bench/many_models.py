"""Measure a pool with hundreds of small models: memory, time to load, CPU time."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from bench import small_models, testbed
from dev.pipeline.job_process import pool_processes, running_processes
from faults import gauges
from tidemill.inference.engine import Engine
from tidemill.inference.model import ModelSpec
from tidemill.inference.request import Request
from tidemill.models.pool.runner import runner
from tidemill.settings import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

MODELS = 500
PROCESSES = 2
# Inputs for each model in a batch, and batches for the CPU time.
INPUTS, BATCHES = 4, 10
SECONDS = 600
ROW = json.dumps([0.5] * small_models.FEATURES)

# For each way: the setting `preload`, and whether the models can be shared.
WAYS = {
    "loaded at the start": ("all", True),
    "loaded when needed, then shared": ("none", True),
    "loaded by each process": ("none", False),
}


def make_specs(files: list[Path], *, shareable: bool) -> list[ModelSpec]:
    """Return an entry for each file."""
    return [
        ModelSpec(
            name=f"m{number}",
            version="1",
            adapter="bench.small_models:Trees",
            options={"path": str(file), "shareable": shareable},
            sample=ROW,
            result="score",
        )
        for number, file in enumerate(files)
    ]


@contextmanager
def pool(specs: list[ModelSpec], preload: str) -> Iterator[tuple[Engine, int]]:
    """Yield the engine of a new pool, and the process that owns it."""
    with (
        mock.patch.dict(os.environ, testbed.THREADS),
        subprocess.Popen(["sleep", "infinity"]) as owner,
    ):
        try:
            settings = PoolSettings.model_validate({"processes": PROCESSES, "preload": preload})
            yield Engine(runner(specs, settings, owner.pid), clock=time.time), owner.pid
        finally:
            owner.kill()


def ask(engine: Engine, specs: list[ModelSpec]) -> set[tuple[str, int]]:
    """Have every model answer; return the models with the processes that answered."""
    requests = [Request(spec, ROW) for _ in range(INPUTS) for spec in specs]
    outputs = engine.run(requests)
    return {
        (request.spec.id, json.loads(str(output.result))[0])
        for request, output in zip(requests, outputs, strict=True)
    }


def cpu_per_message(engine: Engine, specs: list[ModelSpec], owner: int) -> float:
    """Return the CPU time in µs that the pool takes for a message; others may use the machine."""
    start = sum(map(cpu, pool_processes(owner)))
    for _ in range(BATCHES):
        ask(engine, specs)
    used = sum(map(cpu, pool_processes(owner))) - start
    return 1e6 * used / (BATCHES * INPUTS * len(specs))


def cpu(pid: int) -> float:
    """Return the seconds of CPU time that a process has used (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss(owner: int) -> float:
    """Return the PSS in MiB of a pool, with its server."""
    return sum(map(gauges.pss, pool_processes(owner)))


def server(owner: int) -> int:
    """Return the server of a pool: its parent is none of the pool's processes."""
    members, running = {*pool_processes(owner)}, running_processes()
    return next(pid for pid in members & running.keys() if running[pid][0] not in members)


def measure_way(specs: list[ModelSpec], preload: str, *, shareable: bool) -> dict[str, float]:
    """Measure one way to load models, when every process has used every model."""
    begin = time.monotonic()
    with pool(specs, preload) as (engine, owner):
        started, first = time.monotonic(), server(owner)
        ask(engine, specs)
        answered = time.monotonic()
        while preload == "none" and shareable and server(owner) == first:
            assert time.monotonic() < begin + SECONDS
            time.sleep(0.1)
        settled = time.monotonic()
        seen: set[tuple[str, int]] = set()
        while len(seen) < PROCESSES * len(specs):
            assert time.monotonic() < begin + SECONDS, len(seen)
            seen |= ask(engine, specs)
        return {
            "MiB": pss(owner),
            "CPU µs": cpu_per_message(engine, specs, owner),
            "start s": started - begin,
            "first answers s": answered - started,
            "shared s": settled - answered,
        }


def measure(console: Console) -> dict[str, dict[str, float]]:
    """Measure each way."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        files = small_models.train(Path(folder), MODELS)
        with pool(make_specs(files[:1], shareable=True), "all") as (engine, owner):
            ask(engine, make_specs(files[:1], shareable=True))
            results["one model"] = {"MiB": round(pss(owner), 1)}
        for way, (preload, shareable) in WAYS.items():
            measured = measure_way(
                make_specs(files, shareable=shareable), preload, shareable=shareable
            )
            results[way] = {name: round(value, 2) for name, value in measured.items()}
            console.print(f"{way}: {results[way]}", highlight=False)
    return results
