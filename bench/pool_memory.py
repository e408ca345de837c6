"""Measure the memory of pools whose processes share the models, or each load their own."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING
from unittest import mock

from msgspec.structs import replace

from bench import testbed
from bench.corpus import texts
from dev import ROOT
from dev.pipeline.job_process import pool_processes, running_processes
from faults import gauges
from tidemill.inference.batch import is_outage
from tidemill.inference.route import all_specs
from tidemill.models import catalogue
from tidemill.models.pool.runner import runner
from tidemill.settings import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tidemill.inference.model import ModelSpec

PROCESSES = (1, 2, 4, 8)
TEXTS = 1000
# The server's modes, and the adapter with which it chooses each; None is the shipped one.
ADAPTERS = {"shared": None, "separate": "bench.threaded_ner:ThreadedNer"}
NAMES = {"shared": "loaded once", "separate": "loaded by each process"}


def pool(specs: Sequence[ModelSpec], mode: str, processes: int) -> float:
    """Return the PSS in MiB of a pool, with its server, after its processes have worked."""
    with (
        mock.patch.dict(os.environ, testbed.THREADS),
        subprocess.Popen(["sleep", "infinity"]) as owner,
    ):
        try:
            models = runner(specs, PoolSettings(processes=processes), owner.pid)
            for spec in specs:  # every process must use every model
                for outputs in models.run(spec, texts(TEXTS)):
                    assert not any(map(is_outage, outputs)), outputs
            pids = pool_processes(owner.pid)
            assert len(pids) == processes + 1, pids
            commands = running_processes()
            assert all(f" {mode} " in commands[pid][1] for pid in pids), commands
            return sum(map(gauges.pss, pids))
        finally:
            owner.kill()


def measure(console: Console) -> dict[str, list[list[float]]]:
    """Measure both kinds at each number of processes."""
    results: dict[str, list[list[float]]] = {}
    shipped = all_specs(catalogue.load_models(ROOT / "models.yaml"))
    for mode, adapter in ADAPTERS.items():
        specs = [replace(spec, adapter=adapter or spec.adapter) for spec in shipped]
        rows = [[number, round(pool(specs, mode, number), 1)] for number in PROCESSES]
        results[NAMES[mode]] = rows
        console.print(f"a pool with models {NAMES[mode]}: {rows}", highlight=False)
    return results
