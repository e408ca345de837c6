"""Measure `tidemill batch` beside the model alone, pandas, and MLflow's UDF on Spark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import yaml
from pyarrow import dataset, parquet
from pyarrow import json as arrow_json

from bench import corpus, testbed
from bench.batch_contenders import CONTENDERS, Task
from bench.contenders.batch_model import ENTRIES
from dev import PYTHONPATH, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from bench.batch_contenders import Contender

Figures: TypeAlias = dict[str, float]
Answers: TypeAlias = Mapping[str, object]

# How many rows, and how many rounds in which the contenders take turns.
TASKS = {
    Task("ner", "json", 1000): 2,
    Task("ner", "json", 5000): 1,
    Task("noop", "json", 100_000): 1,
    Task("noop", "json", 1_000_000): 1,
    Task("noop", "parquet", 100_000): 1,
    Task("noop", "parquet", 1_000_000): 1,
}


class Unequal(AssertionError):
    """Two contenders gave different answers."""


def measure(
    console: Console,
    tasks: Mapping[Task, int] = MappingProxyType(TASKS),
    contenders: Sequence[Contender] = CONTENDERS,
) -> list[dict[str, Any]]:
    """Return the figures of each contender for each task, in rounds.

    Raises:
        Unequal: A contender gave another answer than the model alone.

    """
    found = []
    for task, rounds in tasks.items():
        with TemporaryDirectory() as folder:
            source = prepare(task, Path(folder))
            chosen = [each for each in contenders if each.suits(task)]
            measured: dict[str, list[Figures]] = {each.name: [] for each in chosen}
            loads = []
            for number in range(rounds):
                loads.append(round(os.getloadavg()[0], 2))
                for name, figures in turns(task, chosen, source, Path(folder, str(number))):
                    measured[name].append(figures)
                    console.print(f"{task.name}: {name}: {figures}", highlight=False)
            loads.append(round(os.getloadavg()[0], 2))
            entry = {"model": task.model, "format": task.format, "rows": task.rows}
            found.append({**entry, "bytes": source.stat().st_size, "load": loads, "runs": measured})
    return found


def prepare(task: Task, folder: Path) -> Path:
    """Write the rows, and the entry of the model; return the file of the rows."""
    entry = {**ENTRIES[task.model], "name": task.model, "version": "1"}
    entry |= {"payload": "text", "id_field": "uuid", "result": "out", "sample": "Ada in London"}
    document = {"models": [{**entry, "limits": {"chars": 100_000}}]}
    Path(folder, "models.yaml").write_text(yaml.safe_dump(document), "utf-8")
    lines = Path(folder, "rows.json")
    with lines.open("wb") as file:
        for row in rows(task):
            file.write(msgspec.json.encode(row) + b"\n")
    if task.format == "json":
        return lines
    table = arrow_json.read_json(lines)
    parquet.write_table(table, folder / "rows.parquet", row_group_size=100_000)
    return folder / "rows.parquet"


def rows(task: Task) -> Iterator[dict[str, str]]:
    """Yield English texts for a model that reads them, and otherwise short ones."""
    texts = corpus.texts(task.rows) if task.model == "ner" else None
    for number in range(task.rows):
        text = texts[number] if texts else f"row {number}: Ada met Charles in London"
        yield {"uuid": str(number), "lang": "en", "text": text}


def turns(
    task: Task, contenders: Sequence[Contender], source: Path, folder: Path
) -> Iterator[tuple[str, Figures]]:
    """Let each contender answer the rows; yield its figures.

    Raises:
        Unequal: One gave another answer than the first one.

    """
    expected: Answers | None = None
    for contender in contenders:
        target = Path(f"{folder}-{contender.name.replace(' ', '-')}")
        figures = timed(contender, task, source, target)
        answers = read(target)
        if expected is None:
            expected = answers
        if len(answers) != task.rows or answers != expected:
            raise Unequal(f"{contender.name} and {contenders[0].name} differ for {task.name}")
        yield contender.name, figures


def timed(contender: Contender, task: Task, source: Path, target: Path) -> Figures:
    """Run a contender; return its figures, of which the rate leaves out the start."""
    command = contender.command(task, source, target)
    done = subprocess.run(
        [sys.executable, "-m", "bench.timed", *command],
        env={
            **os.environ,
            **testbed.THREADS,
            **contender.settings,
            "TIDEMILL__MODELS": str(source.with_name("models.yaml")),
            "PYTHONPATH": PYTHONPATH,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, f"{contender.name}: {done.stderr[-2000:]}"
    took = json.loads(done.stdout)
    begin, end, first = contender.times(took, target)
    figures = {
        "s": took["seconds"],
        "rows/s": task.rows / (end - begin),
        "CPU s": took["CPU s"],
        "MiB": took["MiB"],
    }
    if first is not None:
        figures["first s"] = first
    return {name: float(f"{figure:.4g}") for name, figure in figures.items()}


def read(target: Path) -> Answers:
    """Return a contender's answers by the id of the row."""
    folder = target / "results" if (target / "results").is_dir() else target
    files = [folder] if folder.is_file() else sorted(folder.glob("[!._]*"))
    answers: dict[str, object] = {}
    for file in files:
        if file.suffix == ".parquet" or file.read_bytes()[:4] == b"PAR1":
            table = dataset.dataset(file, format="parquet").to_table(["uuid", "out"])
            pairs = zip(*(column.to_pylist() for column in table.columns), strict=True)
            answers |= {uuid: decoded(answer) for uuid, answer in pairs}
        else:
            for line in file.read_bytes().splitlines():
                row = msgspec.json.decode(line)
                answers[row["uuid"]] = decoded(row["out"])
    return answers


def decoded(answer: object) -> object:
    """Return an answer whose JSON some contenders write as text."""
    try:
        return msgspec.json.decode(answer) if isinstance(answer, str) else answer
    except msgspec.DecodeError:
        return answer
