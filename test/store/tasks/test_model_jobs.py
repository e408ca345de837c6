"""Models run over large inputs as tasks, in real workers and model processes that are killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from workers import is_alive, programs, until

from tidemill.store.store import Store
from tidemill.tasks.job import Job
from tidemill.tasks.tasks import Tasks
from tidemill.tasks.worker import Patience, Worker

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tidemill.tasks.runs import Run

ROWS = 300
# Blocks have 32, 64, 128 … rows, and each is a part: the model waits in the fourth one.
DONE = 32 + 64 + 128
FOLDERS = {"config": "config.yaml", "inputs": "in", "outputs": "out"}
JOBS: dict[str, dict[str, Any]] = {
    "score": {"job": "tidemill.jobs:Batch", "options": FOLDERS | {"part_rows": 1}},
    "answer": {"job": "tidemill.jobs:Predict", "options": {"config": "config.yaml"}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of workers: settings, two models, and inputs."""
    monkeypatch.chdir(tmp_path)
    entry: dict[str, Any] = {
        "name": "upper",
        "version": "1",
        "adapter": "gated_models:Gated",
        "options": {"gate": str(tmp_path / "gate"), "notes": str(tmp_path / "notes")},
        "match": {"lang": "en"},
        "payload": "text",
        "id_field": "id",
        "sample": "fine",
    }
    entries = [entry, entry | {"name": "french", "match": {"lang": "fr"}}]
    Path("models.yaml").write_text(yaml.safe_dump({"models": entries}), "utf-8")
    settings = {
        "store": {"url": f"sqlite:///{tmp_path}/tasks.db"},
        "pool": {"processes": 2},
        "tasks": {"jobs": JOBS, "take_over": 1},
    }
    Path("config.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    Path("in").mkdir()
    texts = ["wait" if i == DONE + 10 else f"text {i}" for i in range(ROWS)]
    write_rows("in/large.jsonl", texts)
    write_rows("in/small.jsonl", ["a", "raise", "c"])
    return tmp_path


@pytest.fixture
def tasks(folder: Path) -> Iterator[Tasks]:
    """The tasks of the settings in the folder."""
    with Store(f"sqlite:///{folder}/tasks.db") as store:
        yield Tasks(store, [Job(name, job["job"], job["options"]) for name, job in JOBS.items()])


@pytest.fixture
def work(folder: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Return what starts a worker as a program of its own."""
    with programs(folder / "config.yaml", folder / "log") as start:
        yield start


def write_rows(path: str, texts: list[str]) -> None:
    """Write an input."""
    rows = [json.dumps({"id": i, "text": text, "lang": "en"}) for i, text in enumerate(texts)]
    Path(path).write_text("\n".join(rows), "utf-8")


def is_in_the_middle(run: str) -> bool:
    """Return whether three parts are saved, and the model waits in the fourth one."""
    saved = len(list(Path(f"out/.{run}.tidemill/.run/receipts").glob("0*")))
    return saved == 3 and any(text == "wait" for _, text in notes())


def notes() -> list[tuple[int, str]]:
    """Return the process and the text of each call of a model."""
    file = Path("notes")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [(int(process), text) for process, text in (line.split(" ", 1) for line in lines)]


def result(tasks: Tasks, run: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the result of a run."""
    return json.loads(bytes(tasks.result(run)))


def check_continued(tasks: Tasks, run: str) -> None:
    """Check that an output has each row once, of which the last attempt answered only the rest."""
    summary = result(tasks, run)
    assert (summary["messages"], summary["results"], summary["continued"]) == (ROWS, ROWS, DONE)
    assert (summary["output"], summary["id"]) == (f"jsonl:{run}", run)
    files = sorted(Path("out", run, "results").iterdir())
    rows = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    assert [row["id"] for row in rows] == list(range(ROWS))
    assert os.listdir("out") == [run]  # noqa: PTH208 - nothing hidden is left
    saved = {f"text {i}" for i in range(DONE)}
    assert sum(text in saved for _, text in notes()) == DONE


def failed(run: Run) -> tuple[str, str]:
    """Return the error's class, and its text."""
    kind, _, text = (run.error or "").partition(": ")
    return kind, text


def test_killed_worker(
    folder: Path, tasks: Tasks, work: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """If a worker is killed in the middle, another one answers only the rest of the rows."""
    run = tasks.submit("score", {"input": "large.jsonl"})
    first = work()
    until(lambda: is_in_the_middle(run) or tasks.get(run).has_ended)
    assert tasks.get(run).error is None
    first.send_signal(signal.SIGKILL)
    until(lambda: not any(is_alive(process) for process, _ in notes()))
    (folder / "gate").touch()
    work()
    until(lambda: tasks.get(run).has_ended)
    ended = tasks.get(run)
    assert (ended.state, ended.attempt, ended.error) == ("succeeded", 2, None)
    assert (ended.progress, ended.phrase) == (1, f"{ROWS} results, 0 dead letters")
    check_continued(tasks, run)


def test_cancelled(folder: Path, tasks: Tasks) -> None:
    """A cancelled batch ends at once, with its model processes, and a retry continues it."""
    run = tasks.submit("score", {"input": "large.jsonl"})
    worker = Worker(tasks, Patience(take_over=60, grace=600))  # nobody kills what does not end
    until(lambda: is_in_the_middle(run) or tasks.get(run).has_ended, worker.step)
    until(lambda: "rows" in tasks.get(run).phrase or tasks.get(run).has_ended, worker.step)
    assert tasks.get(run).error is None
    assert 0 < tasks.get(run).progress < 1
    tasks.cancel(run)
    until(lambda: tasks.get(run).has_ended, worker.step)
    assert tasks.get(run).state == "cancelled"
    until(lambda: not any(is_alive(process) for process, _ in notes()))
    (folder / "gate").touch()
    tasks.retry(run)
    worker.run(until_idle=True)
    check_continued(tasks, run)


def test_outcomes(folder: Path, tasks: Tasks) -> None:
    """Tasks with good and bad inputs end as they should, and say what is wrong."""
    (folder / "in" / "linked.jsonl").symlink_to("/etc/passwd")
    runs = {
        "named": tasks.submit(
            "score", {"input": "small.jsonl", "output": "parquet:a/b", "model": "french"}
        ),
        "missing": tasks.submit("score", {"input": "none.jsonl"}),
        "linked": tasks.submit("score", {"input": "linked.jsonl"}),
        "model": tasks.submit("score", {"input": "small.jsonl", "model": "german"}),
        "answers": tasks.submit("answer", {"inputs": ["a", "raise", 7, "d"], "model": "upper:1"}),
        "nothing": tasks.submit("answer", {"inputs": [], "model": "upper"}),
        "which": tasks.submit("answer", {"inputs": ["a"]}),
    }
    Worker(tasks, Patience(slots=2, take_over=60)).run(until_idle=True)
    ended = {name: tasks.get(run) for name, run in runs.items()}

    summary = result(tasks, runs["named"])
    assert (summary["output"], summary["models"]) == ("parquet:a/b", {"french:1": 2})
    assert (summary["dead_letters"], summary["errors"]) == (1, {"PredictionFailed": 1})
    assert list(Path("out/a/b/results").glob("*.parquet"))

    answers = result(tasks, runs["answers"])
    assert (answers["model"], answers["version"]) == ("upper", "1")
    first, second, third, last = answers["outputs"]
    assert (first, last) == ("A", "D")
    assert (second["error"]["title"], third["error"]["title"]) == (
        "PredictionFailed",
        "InvalidInput",
    )
    assert result(tasks, runs["nothing"])["outputs"] == []
    assert ended["answers"].phrase == "4 of 4 inputs"

    assert failed(ended["missing"])[0] == "InputUnreadable"
    assert failed(ended["linked"]) == (
        "InputUnreadable",
        "cannot read linked.jsonl: it leads out of the job's folder",
    )
    assert failed(ended["model"]) == ("UnknownModel", "no model is named 'german'")
    assert failed(ended["which"]) == (
        "ModelNotChosen",
        "the task needs one model, but there are 2: upper:1, french:1",
    )
    assert all(run.hint for run in ended.values() if run.error)
    assert sorted(os.listdir("out")) == ["a"]  # noqa: PTH208 - nothing hidden is left
