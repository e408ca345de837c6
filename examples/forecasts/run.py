"""Fit 1,400 models of Prophet, pack them into one artifact, and forecast with all of them at once.

Run it from the repository's root: `python -m examples.forecasts.run [MODELS]`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dev import PYTHONPATH, ROOT
from dev.demo.screen import make_console, step
from examples.forecasts import fit, report, sales
from tidemill import TidemillError
from tidemill.packing.artifact import Artifact
from tidemill.packing.manifest import MANIFEST
from tidemill.packing.models import PackedModels
from tidemill.packing.queries import Options, Query
from tidemill.packing.report import measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from rich.console import Console

    from tidemill.packing.kinds import Forecast

WORK = ROOT / ".tidemill" / "forecasts"
MODELS = Path(__file__).with_name("models.yaml")
COUNT = 1400
# How many models are also asked one by one, and kept in every way.
COMPARED = 20
SAMPLES = 1000
REDUCED = 8  # weeks


def main() -> int:
    """Return 0 if all forecasts are those of Prophet."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    console = make_console()
    try:
        problems = [*run(console, WORK, count)]
    except (TidemillError, OSError, subprocess.CalledProcessError) as error:
        print("\n".join([f"failed: {error}", *getattr(error, "__notes__", ())]))
        return 1
    print("\n".join(problems) or f"Prophet and `tidemill predict` agree with {WORK / 'packed'}.")
    return len(problems)


def run(console: Console, work: Path, count: int, compared: int = COMPARED) -> Iterator[str]:
    """Yield the forecasts that differ."""
    prepare(console, work, count)
    fitted = fit.load(fit.files(work, count)[:: max(1, count // compared)][:compared])
    with step(console, f"keeping {len(fitted)} of the models in every way"):
        measured = [*measure(fitted)]
    console.print(report.costs(measured))

    packed = PackedModels.open(work / "packed")
    keys = [*packed.artifact]
    seconds, forecasts = {}, {}
    for samples, name in ((0, "without intervals"), (SAMPLES, f"with {SAMPLES:,} samples")):
        start = time.perf_counter()
        forecasts[samples] = ask(packed, keys, sales.plan(), samples)
        seconds[f"packed, all at once, {name}"] = time.perf_counter() - start
        start = time.perf_counter()
        alone = {key: ask_prophet(model, samples) for key, model in fitted.items()}
        took = (time.perf_counter() - start) * count / len(fitted)
        seconds[f"Prophet, one by one, {name} ({len(fitted)} of them, scaled up)"] = took
        yield from differences("Prophet", forecasts[samples], alone)
    console.print(report.times(seconds, count))
    console.print(f"{len(fitted)} forecasts were compared with Prophet's.")

    start = time.perf_counter()
    reduced = ask(packed, keys, sales.plan(REDUCED), 0)
    took = time.perf_counter() - start
    before, after = (
        sum(each["yhat"][:REDUCED].sum() for each in answers.values())
        for answers in (forecasts[0], reduced)
    )
    console.print(
        f"What if all stores reduce the price by 20% for {REDUCED} weeks? They sell "
        f"{after / before - 1:+.0%} then (asked in {took:.2f} s)."
    )
    with step(console, f"tidemill predict, with {SAMPLES:,} samples"):
        answers = ask_command(work, keys)
    yield from differences("`tidemill predict`", forecasts[SAMPLES], answers)


def prepare(console: Console, work: Path, count: int) -> None:
    """Fit and pack the models, unless an earlier run has done it."""
    with step(console, f"fitting {count:,} models, unless they are in {work / 'models'}") as detail:
        for done in fit.fit_missing(work, count):
            detail(f"{done:,}")
    shutil.copy(MODELS, work)
    files = fit.files(work, count)
    packed = work / "packed"
    if (packed / MANIFEST).exists() and [*Artifact.open(packed)] == [each.stem for each in files]:
        return
    shutil.rmtree(packed, ignore_errors=True)
    with step(console, "tidemill pack create packed models/*.json"):
        tidemill(work, "pack", "create", "packed", *(f"models/{each.name}" for each in files))


def ask(
    packed: PackedModels, keys: Sequence[str], plan: pd.DataFrame, samples: int
) -> dict[str, Forecast]:
    """Return the forecast of each key."""
    dates = plan["ds"].to_numpy("datetime64[ns]").astype(np.int64)
    price = plan["price"].to_numpy()
    found = packed.predict(
        [Query(key, dates, {"price": price}) for key in keys], Options(samples=samples)
    )
    return {
        key: each for key, each in zip(keys, found, strict=True) if not isinstance(each, Exception)
    }


def ask_prophet(model: Any, samples: int) -> dict[str, Any]:  # noqa: ANN401 - Prophet's
    """Return the forecast of a model of Prophet, with the seed that we use."""
    model.uncertainty_samples = samples
    np.random.seed(0)  # noqa: NPY002 - the generator that Prophet uses
    found = model.predict(sales.plan())
    return {name: found[name].to_numpy() for name in found if name.startswith("yhat")}


def ask_command(work: Path, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the forecasts that `tidemill predict` writes."""
    plan = sales.plan()
    dates, price = plan["ds"].dt.strftime("%Y-%m-%d").tolist(), plan["price"].tolist()
    lines = (json.dumps({"model_key": key, "ds": dates, "price": price}) for key in keys)
    questions, answers = work / "questions.jsonl", work / "answers.jsonl"
    questions.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    with answers.open("wb") as output:
        tidemill(work, "predict", "--input", questions.name, stdout=output)
    with answers.open(encoding="utf-8") as written:
        return {each["model_key"]: each["forecast"] for each in map(json.loads, written)}


def tidemill(work: Path, *arguments: str, stdout: Any = None) -> None:  # noqa: ANN401 - a file
    """Run a command of Tidemill in a folder.

    Raises:
        CalledProcessError: It failed, and has said why.

    """
    # The settings of this shell may be meant for another job.
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMILL__")}
    env["PYTHONPATH"] = PYTHONPATH
    line = [sys.executable, "-m", "tidemill", *arguments]
    subprocess.run(line, cwd=work, env=env, stdout=stdout, check=True)


def differences(
    name: str, ours: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield the keys whose forecasts differ: `yhat` at all, bounds in more than a last digit."""
    for key, forecast in theirs.items():
        bounds = [each for each in forecast if each.startswith("yhat_")]
        if key not in ours or not (
            np.array_equal(ours[key]["yhat"], forecast["yhat"])
            and all(np.allclose(ours[key][each], forecast[each], rtol=1e-9) for each in bounds)
        ):
            yield f"{name} has another forecast for {key}"


if __name__ == "__main__":
    sys.exit(main())
