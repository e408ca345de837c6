"""Submit tasks one after another, and cancel some, in a process that may be killed.

    python -m faults.task_client CONFIG FOLDER [URL]

Each request is repeated until it is answered, in the next process if need be; each answer becomes a
line of FOLDER/answers. With URL the requests go to a server, else to the database. A file
FOLDER/stop ends it.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from faults.task_jobs import job_of, parameters_of
from tidemill.bootstrap.tasks import open_tasks
from tidemill.cli.options import load_program
from tidemill.errors import StoreFull, StoreUnavailable
from tidemill.settings import TasksProgram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.tasks.tasks import Tasks

EVERY_S: Final = 0.6
AGAIN_S: Final = 0.2
LATER: Final = 3  # after so many more tasks, one is cancelled
HTTP_TIMEOUT_S: Final = 10
# What a client repeats a request after: the database or the server is away.
PASSING: Final = StoreUnavailable, StoreFull, OSError


class Door(Protocol):
    """A way to the tasks."""

    def submit(self, task: int, notes: Path) -> str:
        """Return the id of the run."""

    def cancel(self, run: str) -> str:
        """Return the state that the run has then."""


class Library:
    """The tasks in the database."""

    def __init__(self, tasks: Tasks) -> None:
        """Use open tasks."""
        self._tasks = tasks

    def submit(self, task: int, notes: Path) -> str:
        """Return the id of the run."""
        return self._tasks.submit(job_of(task), parameters_of(task, notes), key(task))

    def cancel(self, run: str) -> str:
        """Return the state that the run has then."""
        return self._tasks.cancel(run).state


class Http:
    """The tasks behind a server."""

    def __init__(self, url: str) -> None:
        """Use a server."""
        self._url = url

    def submit(self, task: int, notes: Path) -> str:
        """Return the id of the run."""
        run = self._post(job_of(task), parameters_of(task, notes), {"Idempotency-Key": key(task)})
        return str(run["id"])

    def cancel(self, run: str) -> str:
        """Return the state that the run has then."""
        return str(self._post(f"{run}/cancel", {}, {})["state"])

    def _post(self, path: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self._url}/v1/tasks/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
        return answer


def key(task: int) -> str:
    """Return the idempotency key of a task."""
    return f"task-{task}"


def main() -> None:
    """Go on after the last answer of an earlier process, until the file `stop` appears."""
    config, folder = map(Path, sys.argv[1:3])
    with opened(config, *sys.argv[3:]) as door, (folder / "answers").open("a+") as file:
        file.seek(0)
        lines = [json.loads(line) for line in file if line.endswith("}\n")]
        runs: dict[int, str] = {each["task"]: each["run"] for each in lines if "run" in each}
        cancelled = {each["task"] for each in lines if "cancelled" in each}

        def answer(**what: object) -> None:
            file.write(f"{json.dumps(what)}\n")
            file.flush()

        def cancel(before: int) -> None:
            for task, run in runs.items():
                if task < before and job_of(task) == "unwanted" and task not in cancelled:
                    answer(task=task, cancelled=repeated(lambda run=run: door.cancel(run)))  # type: ignore[misc]
                    cancelled.add(task)

        task = max(0, len(runs) - LATER)  # the last ones again: their keys give the same runs
        while not (folder / "stop").exists():
            runs[task] = repeated(lambda task=task: door.submit(task, folder / "notes"))  # type: ignore[misc]
            answer(task=task, run=runs[task])
            task += 1
            cancel(task - LATER)
            time.sleep(EVERY_S)
        cancel(task)


@contextmanager
def opened(config: Path, url: str | None = None) -> Iterator[Door]:
    """Yield a way to the tasks."""
    if url is not None:
        yield Http(url)
        return
    settings = load_program(TasksProgram, config)
    with ExitStack() as stack:
        yield Library(repeated(lambda: stack.enter_context(open_tasks(settings))))


def repeated(request: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it returns
    """Return the answer to a request, however often it has to be made."""
    while True:
        try:
            return request()
        except PASSING as error:
            print(f"again after {type(error).__name__}: {error}", flush=True)
            time.sleep(AGAIN_S)


if __name__ == "__main__":
    main()
