"""One round of `make faults-tasks`: tasks are submitted and run while something is killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dev.pipeline.job_process import kill, running_processes
from faults import task_checker
from faults.task_database import Database
from faults.task_jobs import SLEEP
from faults.task_programs import TAKE_OVER_S, Process, Programs, end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    # It returns the process id of the worker that it has killed, if any.
    Strike = Callable[[Programs], int | None]

BETWEEN_S: Final = 5.0  # up to so long
FROZEN_S: Final = TAKE_OVER_S + 3.0
STUCK_S: Final = 240.0  # for so long after the last kill, a task may take to end
GONE_S: Final = 120.0


@dataclass
class Round:
    """What was killed, how many tasks there were, and what was wrong afterwards.

    `recoveries` has for each task that a kill of its worker interrupted the kind of the kill, and
    the seconds until it began again in another worker.
    """

    database: str
    door: str
    kills: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return a line for people."""
        kills = ", ".join(f"{count} of the {name}" for name, count in self.kills.items())
        slowest = max((seconds for _, seconds in self.recoveries), default=0.0)
        found = "; ".join(self.problems[:3]) or "each task ended once, as it must"
        return (
            f"{self.database}, by {self.door}: kills: {kills or 'none'}; {self.tasks.total()} "
            f"tasks, taken over within {slowest:.1f} s, {self.seconds:.0f} s: {found}"
        )


def kill_worker(programs: Programs) -> int:
    """Kill a worker; the kernel ends the processes of its tasks."""
    return _replace(programs, programs.busy(), group=False)


def kill_group(programs: Programs) -> int:
    """Kill a worker with all that it has started."""
    return _replace(programs, programs.busy(), group=True)


def _replace(programs: Programs, victim: Process, *, group: bool) -> int:
    end(victim, group=group)
    programs.workers.remove(victim)
    programs.start_worker()
    return victim.pid


def freeze_worker(programs: Programs) -> int:
    """Stop a worker for longer than the take-over time; its tasks go on, and may end meanwhile."""
    victim = programs.busy().pid
    os.kill(victim, signal.SIGSTOP)
    time.sleep(FROZEN_S)
    os.kill(victim, signal.SIGCONT)
    return victim


def kill_task(programs: Programs) -> None:
    """Kill the process of a task."""
    kill([programs.task_process()])


def kill_client(programs: Programs) -> None:
    """Kill the client, perhaps while it submits, and start another one."""
    assert programs.client is not None
    end(programs.client)
    programs.start_client()


def kill_server(programs: Programs) -> int:
    """Kill the server with the worker beside it, and start it again."""
    assert programs.server is not None
    victim = programs.server
    end(victim)
    programs.start_server()
    return victim.pid


def restart_database(programs: Programs) -> None:
    """Kill the database, and start it again."""
    programs.database.restart()


def fill_disk(programs: Programs) -> None:
    """Fill the database's disk for a while."""
    programs.database.fill()


STRIKES: Final[dict[str, Strike]] = {
    "worker": kill_worker,
    "worker's group": kill_group,
    "worker, frozen": freeze_worker,
    "task": kill_task,
    "client": kill_client,
    "server": kill_server,
    "database": restart_database,
    "disk, full": fill_disk,
}


def play(folder: Path, kind: str, strikes: Sequence[str]) -> Round:
    """Run a round with some kills; the client asks a server if one is to be killed."""
    serve = "server" in strikes
    found = Round(kind, "HTTP" if serve else "library")
    begin = time.monotonic()
    struck: list[tuple[str, float, int | None]] = []
    with Database(kind, folder) as database, Programs(folder, database, serve=serve) as programs:
        observer = task_checker.Observer(database.url)
        try:
            for strike in strikes:
                if strike == "disk, full" and not database.has_small_disk:
                    continue
                time.sleep(random.uniform(0.2, BETWEEN_S))  # noqa: S311 - no secret
                struck.append((strike, *_strike(strike, programs)))
                found.kills[strike] += 1
                programs.revive()
            _settle(programs)
        finally:
            observer.close()
        programs.stop()
        found.problems += programs.problems
        rows = task_checker.read(database.url)
        answers, notes = (task_checker.lines(folder / name) for name in ("answers", "notes"))
        found.problems += task_checker.problems(rows, answers, notes, observer.ended)
        found.problems += _leftovers(notes)
    found.tasks.update(row.state for row in rows.values())
    found.recoveries = task_checker.recoveries(notes, struck)
    found.seconds = time.monotonic() - begin
    return found


def _strike(name: str, programs: Programs) -> tuple[float, int | None]:
    """Strike; return when, as exactly as that is known before it, and which worker."""
    if name.startswith("worker"):
        programs.busy()
    at = time.time()
    return at, STRIKES[name](programs)


def _settle(programs: Programs) -> None:
    """Let the client end, and wait until all tasks have ended, or some must be stuck."""
    assert programs.client is not None
    (programs.folder / "stop").touch()
    end_ = time.monotonic() + STUCK_S
    while programs.client.poll() is None and time.monotonic() < end_:
        programs.revive()
        time.sleep(0.1)
    if programs.client.returncode != 0:
        programs.problems.append(f"the client ended with {programs.client.returncode}")
    while time.monotonic() < end_ and any(
        row.state not in task_checker.ENDED
        for row in task_checker.read(programs.database.url).values()
    ):
        programs.revive()
        time.sleep(0.2)


def _leftovers(notes: Sequence[dict[str, object]]) -> list[str]:
    """Return the programs beside tasks that still run a while after the tasks have ended."""
    started = {each["beside"] for each in notes if each.get("beside")}
    end_ = time.monotonic() + GONE_S
    while True:
        running = running_processes()
        left = [pid for pid in started if " ".join(SLEEP) in running.get(pid, (0, ""))[1]]  # type: ignore[call-overload]
        if not left or time.monotonic() > end_:
            kill(left)  # type: ignore[arg-type]
            return [f"a program that a task has started still runs: {pid}" for pid in left]
        time.sleep(0.2)
