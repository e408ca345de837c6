"""List what `tidemill batch` is measured with, and how to start each."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Called(msgspec.Struct):
    """What a result tells of its call to the model."""

    ts_start: datetime


_CALLED = msgspec.json.Decoder(Called)
CORES: Final = os.cpu_count() or 1


class Task(NamedTuple):
    """A model, the format of its input and output, and the number of rows."""

    model: str
    format: str
    rows: int

    @property
    def name(self) -> str:
        """The task in words."""
        return f"{self.model}, {self.rows:,} rows of {self.format}"


# When the work began and ended, and the seconds from the program's start to its first answers.
Times: TypeAlias = tuple[float, float, float | None]


def printed(took: dict[str, Any], _: Path) -> Times:
    """Return the times that a contender prints."""
    own = json.loads(took["output"])
    return own["begin"], own["end"], None


def summarised(took: dict[str, Any], target: Path) -> Times:
    """Return the times of a batch, from the first call to the model to the summary."""
    file = target / "summary.json"
    summary, end = json.loads(file.read_bytes()), file.stat().st_mtime
    first = end - summary["seconds"] + summary["first_seconds"]
    return first_call(target), end, first - took["executed"]


def first_call(target: Path) -> float:
    """Return when the first of the calls to the model began, in seconds since the epoch."""
    return min(map(_first_call, (target / "results").iterdir())).timestamp()


def _first_call(file: Path) -> datetime:
    if file.suffix == ".parquet":
        times: list[datetime] = parquet.read_table(file, columns=["ts_start"])[0].to_pylist()
        return min(times)
    return min(_CALLED.decode(line).ts_start for line in file.read_bytes().splitlines())


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to answer the rows of a file.

    Attributes:
        name: Its name in the report.
        arguments: Returns the arguments of Python for a task, an input and an output.
        times: Returns its times.
        models: The models that it can run.
        formats: The formats that it reads and writes.
        settings: Its environment variables.

    """

    name: str
    arguments: Callable[[Task, str, str], list[str]]
    times: Callable[[dict[str, Any], Path], Times] = printed
    models: tuple[str, ...] = ("ner", "noop")
    formats: tuple[str, ...] = ("json", "parquet")
    settings: dict[str, str] = field(default_factory=dict)

    def suits(self, task: Task) -> bool:
        """Tell whether it can do a task."""
        return task.model in self.models and task.format in self.formats

    def command(self, task: Task, source: Path, target: Path) -> list[str]:
        """Return its command line."""
        return [sys.executable, "-m", *self.arguments(task, str(source), str(target))]


def bare(processes: int) -> Callable[[Task, str, str], list[str]]:
    """Return the arguments of the model alone in so many processes."""
    module = "bench.contenders.batch_bare"
    return lambda task, source, target: [
        module, task.model, source, target, task.format, str(processes),
    ]  # fmt: skip


def script(name: str) -> Callable[[Task, str, str], list[str]]:
    """Return the arguments of another contender."""
    module = f"bench.contenders.{name}"
    return lambda task, source, target: [module, task.model, source, target, task.format]


def tidemill(engine: str) -> Callable[[Task, str, str], list[str]]:
    """Return the arguments of a batch."""
    return lambda task, source, target: [
        "tidemill", "batch", "--engine", engine,
        "--input", f"{task.format.replace('json', 'jsonl')}:{source}", "--output", target,
    ]  # fmt: skip


ONE: Final = "one process"
ALL: Final = f"{CORES} processes"
BARE: Final = "the model alone"
OURS: Final = "tidemill batch"
CONTENDERS: Final = (
    Contender(f"{BARE}, {ONE}", bare(1)),
    Contender(
        f"{OURS}, local, {ONE}",
        tidemill("local"),
        summarised,
        settings={"TIDEMILL__POOL__PROCESSES": "1"},
    ),
    Contender(f"pandas, {ONE}", script("batch_pandas")),
    Contender(f"{BARE}, {ALL}", bare(CORES), models=("ner",)),
    Contender(f"{OURS}, local, {ALL}", tidemill("local"), summarised),
    Contender(f"{OURS}, spark, {ALL}", tidemill("spark"), summarised),
    Contender(f"MLflow's spark_udf, {ALL}", script("batch_mlflow")),
)
