"""A worker runs tasks in processes, and ends them: by time-out, cancelling, or with itself."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import msgspec
import pytest
from workers import is_alive, until

from tidemill.errors import NoResult, NotEnded, StoreUnavailable
from tidemill.tasks import retention
from tidemill.tasks.leases import Leases
from tidemill.tasks.tasks import Limits
from tidemill.tasks.worker import Patience, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.tasks.runs import Run
    from tidemill.tasks.tasks import Tasks

    OpenTasks = Callable[..., Tasks]

PATIENCE = Patience(slots=4, take_over=60, grace=0.5)


def test_outcomes(open_tasks: OpenTasks, url: str) -> None:
    """One worker runs tasks that succeed, fail, and die, and each ends as it should."""
    tasks = open_tasks(
        url, Count={"options": {"factor": 2}}, Fail={}, Die={"attempts": 2}, Odd={}, Missing={}
    )
    tasks.jobs["Missing"] = tasks.jobs["Odd"].__class__("Missing", "long_jobs:Odd", {"no": 1})
    runs = {
        "count": tasks.submit("Count", {"steps": 3}),
        "fail": tasks.submit("Fail", {}),
        "die": tasks.submit("Die", {}),
        "long": tasks.submit("Odd", {"length": 2000}),
        "odd": tasks.submit("Odd", {"phrase": "\0 é \u2028"}),
        "object": tasks.submit("Odd", {}),
        "options": tasks.submit("Missing", {}),
    }
    Worker(tasks, PATIENCE).run(until_idle=True)
    ended = {name: tasks.get(run) for name, run in runs.items()}
    assert json.loads(bytes(tasks.result(runs["count"]))) == {"steps": 6}
    assert json.loads(bytes(tasks.result(runs["odd"]))) == "\0 é \u2028"
    assert (ended["count"].progress, ended["count"].attempt) == (1, 1)
    assert ended["die"].attempt == 2
    errors = {name: run.error for name, run in ended.items() if run.error}
    assert errors == {
        "fail": "ValueError: no shelf is long enough",
        "die": "TaskCrashed: the task was tried 2 times, and none came to an end: "
        "its process was ended by signal 9 (Killed)",
        "long": "TaskResultTooLarge: the result has 2,002 bytes; 1,000 are allowed",
        "object": errors["object"],
        "options": errors["options"],
    }
    assert "JSON" in errors["object"]
    assert "takes no arguments" in errors["options"]
    assert all(run.hint for run in ended.values() if run.error)
    with pytest.raises(NoResult):
        tasks.result(runs["fail"])


@pytest.mark.parametrize("fails", [False, True])
def test_best_so_far(open_tasks: OpenTasks, url: str, tmp_path: Path, *, fails: bool) -> None:
    """While a task runs, and after it has failed, its best result so far can be fetched."""
    tasks = open_tasks(url, Improve={})
    file = tmp_path / "go"
    run = tasks.submit("Improve", {"file": str(file), "fails": fails})
    with pytest.raises(NotEnded):
        tasks.latest(run)
    worker = Worker(tasks, PATIENCE)
    until(lambda: tasks.get(run).phrase == "best 2", worker.step)
    assert tasks.latest(run) == (False, msgspec.Raw(b'{"best":2}'))
    with pytest.raises(NotEnded):
        tasks.result(run)
    file.touch()
    worker.run(until_idle=True)
    if fails:
        assert tasks.latest(run) == (False, msgspec.Raw(b'{"best":2}'))
        with pytest.raises(NoResult):
            tasks.result(run)
        again = tasks.retry(run)
        assert (again.worker, again.started, again.ended) == (None, None, None)
        with pytest.raises(NotEnded):
            tasks.latest(run)
    else:
        final = {"run": run, "attempt": 1}
        assert json.loads(bytes(tasks.result(run))) == final
        assert tasks.latest(run) == (True, tasks.result(run))
        assert tasks.get(run).phrase == "best 2"


def test_long_best(open_tasks: OpenTasks, file_url: str) -> None:
    """A task fails that reports a result over the limit."""
    tasks = open_tasks(file_url, Odd={})
    run = tasks.submit("Odd", {"best": 2000})
    Worker(tasks, PATIENCE).run(until_idle=True)
    error = "TaskResultTooLarge: the result has 2,002 bytes; 1,000 are allowed"
    assert tasks.get(run).error == error


@pytest.mark.parametrize("how", ["time-out", "cancel"])
def test_hung(open_tasks: OpenTasks, file_url: str, tmp_path: Path, how: str) -> None:
    """A task that ignores SIGTERM is killed, with the program that it has started."""
    tasks = open_tasks(file_url, Hang={"timeout": 3 if how == "time-out" else 600})
    file = tmp_path / "processes"
    run = tasks.submit("Hang", {"file": str(file)})
    worker = Worker(tasks, PATIENCE)
    until(lambda: tasks.get(run).phrase == "hanging" or tasks.get(run).has_ended, worker.step)
    if how == "cancel":
        assert tasks.cancel(run).cancelling
    until(lambda: tasks.get(run).has_ended, worker.step)
    ended = tasks.get(run)
    if how == "cancel":
        assert (ended.state, ended.error) == ("cancelled", None)
    else:
        assert ended.error == "TaskTimedOut: the task did not end within 3 seconds"
    if file.exists():  # it may have been slow to start
        until(lambda: not any(is_alive(int(each)) for each in file.read_text("utf-8").split()))


@pytest.mark.parametrize("how", ["cancel", "time-out", "stop"])
def test_tidy(open_tasks: OpenTasks, file_url: str, tmp_path: Path, how: str) -> None:
    """A task that is to end may clean up, and knows whether a later attempt goes on with it."""
    tasks = open_tasks(file_url, Tidy={})
    file = tmp_path / "notes"
    run = tasks.submit("Tidy", {"file": str(file)})
    now = [0.0]  # stands still, so that the grace time does not end
    worker = Worker(tasks, Patience(take_over=60, grace=30), clock=lambda: now[0])
    until(lambda: tasks.get(run).phrase == "waiting" or _tick(now), worker.step)
    if how == "stop":
        worker.stop()
        worker.run()
        assert (file.read_text("utf-8"), tasks.get(run).state) == ("stopped\n", "waiting")
        return
    if how == "cancel":
        tasks.cancel(run)
    now[0] += 3601 if how == "time-out" else 1
    until(lambda: tasks.get(run).has_ended, worker.step)
    assert file.read_text("utf-8") == "cancelled\n"
    ended = tasks.get(run)
    error = "TaskTimedOut: the task did not end within 3600 seconds"
    assert (ended.state, ended.error) == (
        ("cancelled", None) if how == "cancel" else ("failed", error)
    )


def test_stop(open_tasks: OpenTasks, file_url: str) -> None:
    """A worker that is stopped gives its run back, which does not count as an attempt."""
    tasks = open_tasks(file_url, Count={"attempts": 1})
    run = tasks.submit("Count", {"steps": 100_000})
    worker = Worker(tasks, PATIENCE)
    thread = Thread(target=worker.run)
    thread.start()
    until(lambda: tasks.get(run).phrase)
    worker.stop()
    thread.join()
    waiting = tasks.get(run)
    assert (waiting.state, waiting.worker, waiting.started) == ("waiting", None, None)
    again = Worker(tasks, PATIENCE)
    until(lambda: tasks.get(run).attempt == 2 and tasks.get(run).phrase, again.step)
    tasks.cancel(run)
    until(lambda: tasks.get(run).has_ended, again.step)


def test_threads(open_tasks: OpenTasks, file_url: str) -> None:
    """A job may report from several threads: no line that it writes breaks another."""
    tasks = open_tasks(file_url, Talk={"attempts": 1})
    tasks.limits = Limits(result=2**20)
    run = tasks.submit("Talk", {})
    worker = Worker(tasks, PATIENCE)
    until(lambda: tasks.get(run).has_ended, worker.step)
    assert tasks.get(run).error is None
    assert len(bytes(tasks.result(run))) == 500_002


def test_slow_leave(open_tasks: OpenTasks, file_url: str, tmp_path: Path) -> None:
    """While a stopping worker grants its task the grace time, no other worker begins it."""
    tasks = open_tasks(file_url, Dawdle={})
    file = tmp_path / "notes"
    run = tasks.submit("Dawdle", {"file": str(file)})
    slow = Worker(tasks, Patience(take_over=1, grace=600), name="slow")
    now = [0.0]
    other = Worker(tasks, Patience(take_over=1), name="other", clock=lambda: now[0])
    until(lambda: tasks.get(run).phrase == "waiting", slow.step)
    slow.stop()
    thread = Thread(target=slow.run)
    thread.start()
    until(file.exists)
    signs = Leases(tasks.store, tasks.jobs, "nobody")
    for _ in range(5):  # more than the take-over time, with a sign of life before each look
        last = signs.running()
        until(lambda last=last: signs.running() != last)  # type: ignore[misc]
        now[0] += 0.3
        other.step()
    during = tasks.get(run)
    Path(f"{file}.go").touch()
    thread.join()
    assert (during.worker, during.attempt) == ("slow", 1)
    until(lambda: tasks.get(run).has_ended, other.step)
    assert tasks.get(run).state == "succeeded"


def test_no_process(
    open_tasks: OpenTasks, file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that can start no process fails no tasks: they wait, and it begins them later."""
    tasks = open_tasks(file_url, Count={"attempts": 1})
    runs = [tasks.submit("Count", {"steps": 1}) for _ in range(2)]
    now = [0.0]
    worker = Worker(tasks, PATIENCE, clock=lambda: now[0])
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        for _ in range(3):
            worker.step()
        assert [(tasks.get(run).state, tasks.get(run).attempt) for run in runs] == [
            ("waiting", 1),
            ("waiting", 0),
        ]
    until(lambda: all(tasks.get(run).has_ended for run in runs) or _tick(now), worker.step)
    assert {tasks.get(run).state for run in runs} == {"succeeded"}


def test_much_to_forget(
    open_tasks: OpenTasks, file_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker shows signs of life between two deletions, however many old runs there are."""
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    tasks = open_tasks(file_url, Count={})
    for _ in range(5):
        tasks.cancel(tasks.submit("Count", {"steps": 1}))
    worker = Worker(tasks, Patience(keep=-60))
    left = []
    while tasks.list():
        left.append(len(tasks.list()))
        worker.step()
    assert left == [5, 3, 1]


def test_until_idle_away(open_tasks: OpenTasks, file_url: str, tmp_path: Path) -> None:
    """A worker that runs until it is idle ends no task because the database is away."""
    tasks = open_tasks(file_url, Count={})
    run = tasks.submit("Count", {"steps": 1, "file": str(tmp_path / "notes")})
    failures = [StoreUnavailable("sqlite:///", "it is away")]
    worker = Worker(tasks, PATIENCE)
    is_idle = worker._leases.is_idle  # noqa: SLF001

    def flaky(*states: str) -> bool:
        if not states and failures:
            raise failures.pop()
        return is_idle(*states)

    worker._leases.is_idle = flaky  # type: ignore[method-assign]  # noqa: SLF001
    worker.run(until_idle=True)
    assert (tasks.get(run).state, tasks.get(run).attempt) == ("succeeded", 1)
    assert not failures


def test_taken_over(open_tasks: OpenTasks, url: str, tmp_path: Path) -> None:
    """A worker that was silent for long, and comes back, ends its process and changes nothing."""
    tasks = open_tasks(url, Count={})
    run = tasks.submit("Count", {"steps": 100_000})
    slow = Worker(tasks, PATIENCE, name="slow")
    until(lambda: tasks.get(run).phrase, slow.step)

    now = iter(range(10**6))
    quick = Worker(tasks, Patience(take_over=2), name="quick", clock=lambda: next(now) / 10)
    until(lambda: _on(tasks.get(run), "quick"), quick.step)
    until(lambda: not slow._running, slow.step)  # noqa: SLF001
    assert _on(tasks.get(run), "quick")
    tasks.cancel(run)
    until(lambda: tasks.get(run).has_ended, quick.step)
    assert tasks.get(run).attempt == 2


def _on(run: Run, worker: str) -> bool:
    return (run.state, run.worker) == ("running", worker)


def _tick(now: list[float]) -> bool:
    """Let a second pass, so that a sign of life is due; return False."""
    now[0] += 1
    return False
