"""Fit a model of Prophet for each store, in two processes, unless it has been fitted before."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.forecasts import quiet_prophet, sales
from tidemill.packing import saved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROCESSES = 2
# How many models a process fits before it asks for more.
CHUNK = 4


def files(folder: Path, models: int) -> list[Path]:
    """Return the file of each store's model."""
    return [folder / "models" / f"{sales.key(number)}.json" for number in range(models)]


def fit_missing(folder: Path, models: int) -> Iterator[int]:
    """Fit the models that have no file yet; yield how many files there are, again and again.

    If the models in the folder are of other sales, or of another release of Prophet, all of the
    folder is removed first.
    """
    stamp, state = folder / "fitted-by", _state()
    if not stamp.exists() or stamp.read_text("utf-8") != state:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "models").mkdir(parents=True)
        stamp.write_text(state, "utf-8")
    missing = [file for file in files(folder, models) if not file.exists()]
    # Threads, such as the one that draws the progress, would make a fork of this process unsafe.
    context = get_context("forkserver")
    context.set_forkserver_preload([quiet_prophet.__name__])
    pool = ProcessPoolExecutor(PROCESSES, context)
    try:
        fitted = pool.map(_fit, missing, chunksize=CHUNK)
        for done, _ in enumerate(fitted, start=models - len(missing) + 1):
            yield done
    finally:
        pool.shutdown(cancel_futures=True)


def load(paths: Sequence[Path]) -> dict[str, Any]:
    """Return fitted models by the names of their stores."""
    return dict(saved.load(paths))


def _fit(file: Path) -> None:
    model = quiet_prophet.Prophet(
        yearly_seasonality=True, weekly_seasonality=False, daily_seasonality=False
    )
    model.add_regressor("price")
    model.fit(sales.history(sales.number(file.stem)))
    unfinished = file.with_suffix(".part")
    unfinished.write_text(quiet_prophet.model_to_json(model), "utf-8")
    unfinished.rename(file)


def _state() -> str:
    """Describe what the fitted models depend on."""
    sources = b"".join(Path(str(each)).read_bytes() for each in (__file__, sales.__file__))
    return f"Prophet {version('prophet')}, {hashlib.sha256(sources).hexdigest()}\n"
