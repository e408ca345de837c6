"""Measure packed models beside Prophet and two other packages, and how the cost grows with keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import testbed
from bench.environments.environments import python_of
from bench.forecast_targets import targets
from bench.packed_forecasts import WAYS
from dev import PYTHONPATH, ROOT
from examples.forecasts import fit, run
from tidemill.packing.artifact import Artifact
from tidemill.packing.report import measure as measure_kinds
from tidemill.packing.writer import Packed, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

# How many models are kept in every way, and asked one by one: with and without samples.
KEPT, ALONE = 50, {0: 200, 1000: 100}
KEYS = (100, 1400, 10_000, 100_000)
# Up to so many keys, the quickest of several runs counts; with more than so many, there are no
# samples, which take a minute for 70,000.
SEVERAL, RUNS, SAMPLED = 1400, 5, 10_000


def measure(models: int, console: Console) -> dict[str, Any]:
    """Fit the models that are missing, and return the figures of each part."""
    run.prepare(console, run.WORK, models)
    packed, files = run.WORK / "packed", fit.files(run.WORK, models)
    found: dict[str, Any] = {"models": models, "artifact": size(packed) / models}
    found["load"] = [os.getloadavg()[0]]
    found["kinds"] = [each._asdict() for each in measure_kinds(fit.load(files[:KEPT]))]
    console.print(f"{len(found['kinds'])} ways to keep a model", highlight=False)
    found["ours"] = {
        way: {samples: child(packed, way, samples, RUNS) for samples in ALONE} for way in WAYS
    }
    console.print(str(found["ours"]), highlight=False)
    found["Prophet"] = []
    for processes in (1, 2):
        for samples, count in ALONE.items():
            took = one_by_one(files[:count], samples, processes)
            found["Prophet"].append([processes, samples, min(count, models), took])
            console.print(*found["Prophet"][-1], highlight=False)
    found["packages"] = packages(models)
    console.print(str(found["packages"]), highlight=False)
    found["growth"] = []
    for row in growth(packed):
        console.print(*row, highlight=False)
        found["growth"].append(row)
    found["load"].append(os.getloadavg()[0])
    for name, limit, value, met in targets(found):
        console.print(f"{'[green]✓' if met else '[red]✗'}[/] {name}: {value}, target {limit}")
    result: dict[str, Any] = rounded(found)
    return result


def child(folder: Path, way: str, samples: int, runs: int) -> dict[str, float]:
    """Return what another process measures with an artifact."""
    arguments = [str(folder), way, str(samples), str(runs)]
    took: dict[str, float] = python("bench.packed_forecasts", *arguments)
    return took


def one_by_one(files: Sequence[Path], samples: int, processes: int) -> dict[str, float]:
    """Return what Prophet takes for all files, shared between processes that begin together."""
    loops = [
        subprocess.Popen(
            command(sys.executable, "prophet_loop", str(samples), *map(str, files[n::processes])),
            env=environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(processes)
    ]
    loaded = [json.loads(loop.stdout.readline()) for loop in loops if loop.stdout]
    for loop in loops:
        assert loop.stdin is not None
        print(file=loop.stdin, flush=True)
    took = [json.loads(loop.communicate()[0]) for loop in loops]
    return {
        "load s": max(each["load s"] for each in loaded),
        "MiB": sum(each["MiB"] for each in loaded),
        "s": max(each["s"] for each in took),
        "CPU s": sum(each["CPU s"] for each in took),
    }


def packages(models: int) -> list[list[Any]]:
    """Return the figures of other packages, which have an environment of their own."""
    script = command(str(python_of("forecasts")), "forecast_libraries", str(models))
    done = subprocess.run(script, env=environment(), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    rows: list[list[Any]] = json.loads(done.stdout)
    return rows


def growth(packed: Path) -> Iterator[list[Any]]:
    """Yield keys, samples, the artifact's bytes and the figures for each number of keys."""
    for keys in KEYS:
        with TemporaryDirectory() as temporary:
            folder = Path(temporary, "packed")
            write(folder, multiply(Artifact.open(packed), keys))
            for samples in ALONE if keys <= SAMPLED else (0,):
                runs = RUNS if keys <= SEVERAL else 1
                yield [keys, samples, size(folder), child(folder, "queries", samples, runs)]


def multiply(artifact: Artifact, keys: int) -> Iterator[Packed]:
    """Yield as many models as are asked for: those of an artifact, and others that are similar."""
    places = artifact.places(artifact)
    random = np.random.default_rng(0)
    for number in range(keys):
        place = places[number % len(places)]
        assert place is not None
        template, row = artifact.template(place), np.frombuffer(artifact.item(place)).copy()
        row[-1] *= random.uniform(0.9, 1.1)  # the effect of the price
        yield Packed(f"store-{number:06}", template.kind, bytes(template.content), row.tobytes())


def size(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(each.stat().st_size for each in folder.iterdir())


def python(module: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Run a module in another process; return the JSON that it prints."""
    line = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(line, env=environment(), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def command(interpreter: str, contender: str, *arguments: str) -> list[str]:
    """Return the command line of a contender."""
    return [interpreter, "-m", f"bench.contenders.{contender}", *arguments]


def environment() -> dict[str, str]:
    """Return the environment of a process with one thread for numbers."""
    return {**os.environ, **testbed.THREADS, "PYTHONPATH": PYTHONPATH}


def rounded(found: Any) -> Any:  # noqa: ANN401 - JSON
    """Return figures with four significant digits, and keys as JSON has them."""
    match found:
        case float():
            return float(f"{found:.4g}")
        case dict():
            return {str(name): rounded(each) for name, each in found.items()}
        case list():
            return [rounded(each) for each in found]
        case _:
            return found
