"""Measure how reading models.yaml, listing models and routing messages grow with their number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench.wide_messages import microseconds
from dev import PYTHONPATH
from tidemill.inference.codec import decode_fields
from tidemill.inference.message import Failure, Message
from tidemill.inference.records import RecordCodec
from tidemill.inference.route import Router
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

MODELS = (1_000, 10_000)
ROUTES = (1, 100, 1_000, 10_000)
RUNS = 5
MESSAGES = 256
SERVICES = ("TAXI", "PHV")
ENTRY = """
  - name: eta_{city}_{service}
    version: 1
    adapter: example_models:Echo
    artifact: artifacts/eta_{city}_{service}.onnx
    match: {{city: {city}, service: {service}}}
    payload: [km, hour]
    sample: {{km: 3.5, hour: 8}}
    limits: {{seconds: 5}}
"""
MATRIX = """
models:
  - name: eta_{{city}}_{{service}}
    version: 1
    adapter: example_models:Echo
    artifact: artifacts/{{name}}.onnx
    parameters: {{city: {cities}, service: {services}}}
    payload: [km, hour]
    sample: {{km: 3.5, hour: 8}}
    limits: {{seconds: 5}}
"""


def one_entry_each(models: int) -> str:
    """Return a models.yaml with an entry for each model."""
    return "models:" + "".join(
        ENTRY.format(city=number // len(SERVICES), service=SERVICES[number % len(SERVICES)])
        for number in range(models)
    )


def one_for_all(models: int) -> str:
    """Return a models.yaml in which one entry stands for all models."""
    cities = list(range(max(1, models // len(SERVICES))))
    return MATRIX.format(cities=cities, services=list(SERVICES[: min(models, len(SERVICES))]))


def seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of a function and the commands that it runs, the least of several."""
    took = []
    for _ in range(RUNS):
        start = cpu_time()
        run()
        took.append(cpu_time() - start)
    return min(took)


def cpu_time() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def listing(folder: Path, models: int, *options: str) -> None:
    """List the models of a folder in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "tidemill", "models", "list", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.count("example_models:Echo") == models


def files(folder: Path, models: int) -> dict[str, float]:
    """Return the seconds for each way to read or list that many models."""
    took = {}
    file = folder / "models.yaml"
    for form, write in {
        "an entry for each": one_entry_each,
        "one entry for all": one_for_all,
    }.items():
        file.write_text(write(models), "utf-8")
        assert len(catalogue.load_models(file)) == models
        took[f"read and check, {form}"] = seconds(lambda: catalogue.load_models(file))
        took[f"`tidemill models list`, {form}"] = seconds(lambda: listing(folder, models))
    took["`tidemill models list --json`, one entry for all"] = seconds(
        lambda: listing(folder, models, "--json")
    )
    return took


def routing(folder: Path, number: int) -> dict[str, float]:
    """Return the µs for each message with that many routes, between which messages alternate."""
    file = folder / "models.yaml"
    file.write_text(one_for_all(number), "utf-8")
    routes = catalogue.load_models(file)
    assert len(routes) == number
    texts = [
        json.dumps({**(route.match or {}), "km": 3.5, "hour": 8, "uuid": str(index)})
        for index, route in enumerate(routes[i * 7919 % number] for i in range(MESSAGES))
    ]
    codec, router = RecordCodec(routes), Router(routes)
    messages = [Message(text.encode()) for text in texts]
    fields = [decode_fields(text) for text in texts]
    assert not any(isinstance(read, Failure) for read in map(codec.read, messages))
    return {
        "reading a message": microseconds(lambda: list(map(codec.read, messages)), MESSAGES),
        "of which finding its route": microseconds(
            lambda: list(map(router.route, fields)), MESSAGES
        ),
    }


def measure(console: Console) -> dict[str, Any]:
    """Return the figures of files for each number of models, and of routing for each of routes."""
    measured: dict[str, Any] = {"models": list(MODELS), "routes": list(ROUTES)}
    with TemporaryDirectory() as temporary:
        for part, numbers, run in (("files", MODELS, files), ("routing", ROUTES, routing)):
            rows: dict[str, list[float]] = {}
            for number in numbers:
                for name, took in run(Path(temporary), number).items():
                    rows.setdefault(name, []).append(round(took, 3))
                    console.print(f"{number:,}: {name}: {took:.3f}", highlight=False)
            measured[part] = [[name, *row] for name, row in rows.items()]
    return measured
