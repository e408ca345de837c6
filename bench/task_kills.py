"""Kill workers of all queues at the same time, and watch what becomes of their tasks."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.store_children import started
from bench.task_turns import LOOK_S, ended, read, wait_for
from dev.pipeline.job_process import descendants

if TYPE_CHECKING:
    from collections.abc import Sequence
    from subprocess import Popen

    from bench.task_queues import Queue
    from bench.task_turns import Line

SHORT_S, LONG_S = 5, 25
FIRST, SECOND, LONG = 10**6, 10**6 + 1, 10**6 + 2
BETWEEN_S = 3  # or the machine is so busy with starts that workers look dead


class Watch(NamedTuple):
    """For how many seconds a task is watched after a kill, of its worker and of its process."""

    worker: float = 50
    process: float = 30


def measure(queues: Sequence[Queue], watch: Watch = Watch()) -> dict[str, dict[str, Any]]:  # noqa: B008
    """Kill a worker of each queue; return what its tasks did, by the queue's name."""
    found: dict[str, dict[str, Any]] = {}

    def kill(queue: Queue) -> None:
        found[queue.name] = kills(queue, watch)

    threads = [threading.Thread(target=kill, args=[queue]) for queue in queues]
    for thread in threads:
        thread.start()
        time.sleep(BETWEEN_S)
    for thread in threads:
        thread.join()
    return {queue.name: found[queue.name] for queue in queues}


def kills(queue: Queue, watch: Watch) -> dict[str, Any]:
    """Kill a worker, and then the process that runs a task; return what the tasks did.

    `worker` and `process` are the seconds from the kill until the task began again, or None;
    `long` is how often a task begins that takes long and that nobody kills.
    """
    queue.lines.unlink(missing_ok=True)
    with ExitStack() as stack:
        client = stack.enter_context(started(queue.client, queue.environment))
        client.ask(FIRST, 1, SHORT_S)
        workers = stack.enter_context(queue.working())
        begun = begin_of(queue, FIRST)
        # A worker of several processes may share its tasks: kill all, as a failing machine does.
        killed = kill_all(workers)
        stack.enter_context(queue.working())
        time.sleep(BETWEEN_S)  # until servers know that the killed workers are gone
        client.ask(LONG, 1, LONG_S)
        first = again(queue, begun, killed, watch.worker)
        wait_for_end(queue, LONG, watch.worker)
        long_ones = [line for line in read(queue) if line[:2] == ("begin", LONG)]
        client.ask(SECOND, 1, SHORT_S)
        begun = begin_of(queue, SECOND)
        os.kill(begun.pid, signal.SIGKILL)
        second = again(queue, begun, time.monotonic(), watch.process)
        if second is not None:
            wait_for_end(queue, SECOND, watch.process)
        ends = {line.number for line in ended(read(queue))}
    return {
        "worker": first,
        "process": second,
        "long": len(long_ones),
        "ended": [number in ends for number in (FIRST, SECOND, LONG)],
    }


def begin_of(queue: Queue, number: int) -> Line:
    """Wait until a task begins; return its line."""
    lines = wait_for(queue, lambda lines: any(line.number == number for line in lines))
    return next(line for line in lines if line.number == number)


def wait_for_end(queue: Queue, number: int, most: float) -> None:
    """Wait until a task ends, for some seconds at most."""
    give_up = time.monotonic() + most
    while time.monotonic() < give_up:
        if any(line.number == number for line in ended(read(queue))):
            return
        time.sleep(LOOK_S)


def kill_all(workers: Sequence[Popen[bytes]]) -> float:
    """Kill workers with all their processes; return when."""
    pids = [pid for worker in workers for pid in (worker.pid, *descendants(worker.pid))]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def again(queue: Queue, begun: Line, killed: float, most: float) -> float | None:
    """Watch a task for some seconds; return after how many it begins again, or None."""
    while True:
        for line in read(queue):
            if line.number == begun.number and line.what == "begin" and line.time > begun.time:
                return line.time - killed
        if time.monotonic() > killed + most:
            return None
        time.sleep(LOOK_S)
