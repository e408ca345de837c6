"""Carry out a strike on the job, and tell when."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dev.kafka.topics import committed_offsets
from dev.pipeline.job_process import kill
from faults.failpoints import CLAIMS, LAST
from faults.kills import ANY_TIME, ZOMBIE
from faults.victims import any_lives

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from faults.failpoints import Taken
    from faults.kills import Strike
    from faults.target import Target

TAKEN_WITHIN_S = 60.0
CLAIMED_WITHIN_S = 240.0  # a start, on a busy machine
ZOMBIE_ENDS_WITHIN_S = 120.0
MOST_PAUSE_S = 1.0


class Striker:
    """Kill parts of a job, and start it again where that ended it.

    `answers` waits until every input partition has an outcome after a time, and returns when each
    had its first; all times are in seconds since the epoch.
    """

    def __init__(
        self, target: Target, rng: random.Random, answers: Callable[[float], list[float]]
    ) -> None:
        """Take the job."""
        self._target = target
        self._rng = rng
        self._answers = answers

    def strike(self, strike: Strike) -> tuple[float, float] | None:
        """Kill once, at a random moment, and wait until the job answers again.

        Return the seconds to the first outcome of all, and until each input partition has had one;
        None where nobody met the point. After the end of a job only what its successor writes
        counts, which is started at once.
        """
        time.sleep(self._rng.uniform(0, MOST_PAUSE_S))
        self._target.keep_up()
        if strike.point == ANY_TIME:
            at = self._kill(strike.victim)
            return self._wait(strike, at) if at else None
        patience = TAKEN_WITHIN_S
        if strike.point in CLAIMS:  # which only a start meets
            patience = CLAIMED_WITHIN_S
            self._kill("group")
            self._succeed()
        laid = self._target.orders.laid(strike.point, strike.victim, patience, self._target.keep_up)
        with laid as taken:
            if taken is None or (strike.point == LAST and not self._all_committed()):
                return None
            if strike.victim == ZOMBIE:
                return self._resurrect(strike.point)
            at = self._kill(strike.victim, taken)
        return self._wait(strike, at) if at else None

    def _kill(self, victim: str, taken: Taken | None = None) -> float | None:
        """Kill a victim that lives; a worker at a point has done so by itself. Return when."""
        if victim == "worker" and taken:
            return taken.time
        pids, at = self._target.pids(victim, taken.pid if taken else None), time.time()
        kill(pids)
        return at if pids else None

    def _wait(self, strike: Strike, at: float) -> tuple[float, float]:
        times = self._answers(self._succeed() if strike.restarts else at)
        return round(min(times) - at, 3), round(max(times) - at, 3)

    def _succeed(self) -> float:
        """Start the job anew, at once; return when nothing of the one before lived any more."""
        self._target.bury()
        left = self._target.left()
        self._target.start()
        while any_lives(left):
            time.sleep(0.02)
        return time.time()

    def _resurrect(self, point: str) -> tuple[float, float]:
        """Suspend the whole job where it stands; let it go on when its successor answers.

        It must end: what it has not committed yet it may not commit any more.
        """
        old, pids, at = self._target.program, self._target.pids("group"), time.time()
        _signal(pids, signal.SIGSTOP)
        self._target.start()
        times = self._answers(at)
        self._target.orders.release(point)
        _signal(pids, signal.SIGCONT)
        deadline = time.monotonic() + ZOMBIE_ENDS_WITHIN_S
        while old.process.poll() is None and time.monotonic() < deadline:
            self._target.keep_up()
            time.sleep(0.05)
        if old.process.poll() is None:
            self._target.ended.append(f"the zombie went on for {ZOMBIE_ENDS_WITHIN_S:g} s")
            kill([old.process.pid, *pids])
            old.process.wait()
        return round(min(times) - at, 3), round(max(times) - at, 3)

    def _all_committed(self) -> bool:
        """Wait until the group's offsets are where the running micro-batch ends.

        Return whether that came before Spark's commit log has it.
        """
        pipeline, log = self._target.pipeline, self._target.checkpoint
        newest = max((log / "offsets").glob("[0-9]*"), key=lambda entry: int(entry.name))
        ends = json.loads(newest.read_text("utf-8").splitlines()[-1])[pipeline.source]
        deadline = time.monotonic() + TAKEN_WITHIN_S
        while time.monotonic() < deadline:
            committed = committed_offsets(
                pipeline.broker.bootstrap_servers, pipeline.source, pipeline.source
            )
            if all(committed.get(int(number), 0) == end for number, end in ends.items()):
                return not (log / "commits" / newest.name).exists()
        return False


def _signal(pids: list[int], signum: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
