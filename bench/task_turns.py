"""Let one queue have its turn: a backlog of tasks, and then one task at a time."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.store_children import started
from bench.store_databases import total_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from subprocess import Popen

    from bench.store_children import Child
    from bench.task_queues import Queue

SHARE_LEFT_OUT = 0.2  # of the backlog: meanwhile all workers have started
LOOK_S, SETTLE_S, MOST_S = 0.005, 0.3, 300.0
PAUSES_S = 0.05, 0.35


class Size(NamedTuple):
    """How much is measured.

    Attributes:
        backlog: The tasks that wait for the workers of a peer.
        own: The same for ours, which starts a process for each.
        single: The tasks that are submitted one at a time.
        rounds: How many turns each queue has.
        kills: Whether workers are killed, too.

    """

    backlog: int = 1000
    own: int = 50
    single: int = 20
    rounds: int = 3
    kills: bool = True


class Line(NamedTuple):
    """What a task wrote: `begin` or `end`, its number, the monotonic time, its process id."""

    what: str
    number: int
    time: float
    pid: int


def turn(queue: Queue, size: Size) -> dict[str, Any]:
    """Return what a turn takes: rates, CPU times, and how long each single task was waited for."""
    queue.lines.unlink(missing_ok=True)
    with started(queue.client, queue.environment) as client:
        count = size.own if queue.is_ours else size.backlog
        used = queue.cpu
        begin, end, client_cpu = client.ask(0, count, 0)
        submits = {
            "submits/s": count / (end - begin),
            "submit CPU s": client_cpu + queue.cpu - used,
        }
        with queue.working() as workers:
            done = drained(queue, workers, count)
            waits = [wait for n in range(size.single) if (wait := alone(queue, client, count + n))]
    submits["submit CPU s"] /= count
    return {**submits, **done, "waits": waits}


def drained(queue: Queue, workers: Sequence[Popen[bytes]], count: int) -> dict[str, float]:
    """Wait until the workers have run a backlog; return their rate, and the CPU time of a task."""

    def used() -> float:
        return queue.cpu + sum(total_cpu(worker.pid) for worker in workers)

    first = wait_for(queue, lambda lines: len(ended(lines)) >= count * SHARE_LEFT_OUT)
    cpu = used()
    begun = min(len(ended(first)), count - 1)  # on a busy machine all may have ended
    last = ended(wait_for(queue, lambda lines: len(ended(lines)) >= count))
    time.sleep(SETTLE_S)  # the last outcomes are written
    numbers = sorted(line.number for line in last)
    assert numbers == list(range(count)), f"{queue.name} ran {len(numbers)} of {count} tasks"
    taken = count - begun
    times = sorted(line.time for line in last)
    seconds = times[-1] - times[begun - 1]
    return {"tasks/s": taken / seconds, "CPU s": (used() - cpu) / taken}


def alone(queue: Queue, client: Child, number: int) -> float:
    """Submit a task to workers that have nothing to do; return how long it takes to begin."""
    time.sleep(random.uniform(*PAUSES_S))  # noqa: S311 - so that it meets any moment of a poll
    submitted, _, _ = client.ask(number, 1, 0)
    lines = wait_for(queue, lambda lines: any(line.number == number for line in ended(lines)))
    return next(line.time for line in lines if line.number == number) - float(submitted)


def wait_for(
    queue: Queue, is_enough: Callable[[list[Line]], bool], most: float = MOST_S
) -> list[Line]:
    """Wait until the tasks have written what is enough; return their lines."""
    give_up, size = time.monotonic() + most, -1
    while True:
        now = queue.lines.stat().st_size if queue.lines.exists() else 0
        if now != size:
            size = now
            if is_enough(lines := read(queue)):
                return lines
        assert time.monotonic() < give_up, f"{queue.name} takes too long; see {queue.folder}/log"
        time.sleep(LOOK_S)


def read(queue: Queue) -> list[Line]:
    """Return the lines that the tasks of a queue have written."""
    if not queue.lines.exists():
        return []
    parts = (line.split() for line in queue.lines.read_text("ascii").splitlines())
    return [Line(what, int(n), float(when), int(pid)) for what, n, when, pid in parts]


def ended(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of tasks that have ended."""
    return [line for line in lines if line.what == "end"]
