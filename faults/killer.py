"""Carry out a kill and measure how long the job takes to recover."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dev.kafka.topics import committed_offsets
from dev.pipeline.job_process import kill as kill_processes
from faults.failpoints import AFTER_LAST_COMMIT, CLAIM_POINTS
from faults.kills import ANY_TIME, POOL, ZOMBIE

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from faults.campaign_job import CampaignJob
    from faults.failpoints import Hit
    from faults.kills import Kill

HIT_TIMEOUT_S = 240.0  # a start, on a busy machine
ZOMBIE_TIMEOUT_S = 120.0
MAX_PAUSE_S = 1.0


class Killer:
    """Kill parts of a job, and restart it if that ended it.

    `wait_for_outcomes` takes two times, and waits until every input partition has an outcome that
    is later than the first one, and that the model began to compute after the second one. It
    returns the outcomes' times. All times are in seconds since the epoch.
    """

    def __init__(
        self,
        job: CampaignJob,
        rng: random.Random,
        wait_for_outcomes: Callable[[float, float], list[float]],
    ) -> None:
        """Take the job."""
        self._job = job
        self._rng = rng
        self._wait_for_outcomes = wait_for_outcomes

    def carry_out(self, kill: Kill) -> tuple[float, float] | None:
        """Kill once, at a random moment, and wait until the job answers again.

        Return the seconds from the kill to the first outcome, and until every input partition has
        one; None if no process reached the point. If the kill ended the job, restart it at once,
        and count only outcomes of the new one.
        """
        time.sleep(self._rng.uniform(0, MAX_PAUSE_S))
        self._job.restart_if_ended()
        if kill.point == ANY_TIME:
            killed = self._kill(kill.target)
            return self._recover(kill, killed) if killed else None
        if kill.point in CLAIM_POINTS:  # only a starting job reaches these
            self._kill("group")
            self._restart()
        armed = self._job.failpoints.armed(
            kill.point, kill.target, HIT_TIMEOUT_S, self._job.restart_if_ended
        )
        with armed as hit:
            if hit is None or (kill.point == AFTER_LAST_COMMIT and not self._all_committed()):
                return None
            if kill.target == ZOMBIE:
                return self._suspend_and_resume(kill.point)
            killed = self._kill(kill.target, hit)
        return self._recover(kill, killed) if killed else None

    def _kill(self, target: str, hit: Hit | None = None) -> float | None:
        """Kill a target and return when; None if it has no process.

        A worker that hits a failpoint has killed itself.
        """
        if target == "worker" and hit:
            return hit.time
        pids, now = self._job.pids(target, hit.pid if hit else None), time.time()
        kill_processes(pids)
        return now if pids else None

    def _recover(self, kill: Kill, killed: float) -> tuple[float, float]:
        since = self._restart() if kill.restarts else killed
        # The pool works ahead, so later outcomes may have been computed before the kill.
        times = self._wait_for_outcomes(since, killed if kill.target in POOL else 0.0)
        return round(min(times) - killed, 3), round(max(times) - killed, 3)

    def _restart(self) -> float:
        """Restart the job at once; return when the last process of the old one had ended."""
        self._job.wait_until_ended()
        old = self._job.running()
        self._job.start()
        self._job.end_orphans(old)
        return time.time()

    def _suspend_and_resume(self, point: str) -> tuple[float, float]:
        """Suspend the whole job at a point; resume it when its successor answers.

        The old job must end, and must not commit what it had not committed before.
        """
        old, pids, suspended = self._job.process, self._job.pids("group"), time.time()
        _signal(pids, signal.SIGSTOP)
        self._job.start()
        times = self._wait_for_outcomes(suspended, 0.0)
        self._job.failpoints.release(point)
        _signal(pids, signal.SIGCONT)
        deadline = time.monotonic() + ZOMBIE_TIMEOUT_S
        while old.process.poll() is None and time.monotonic() < deadline:
            self._job.restart_if_ended()
            time.sleep(0.05)
        if old.process.poll() is None:
            self._job.unexpected.append(f"the zombie still ran after {ZOMBIE_TIMEOUT_S:g} s")
            kill_processes([old.process.pid, *pids])
            old.process.wait()
        return round(min(times) - suspended, 3), round(max(times) - suspended, 3)

    def _all_committed(self) -> bool:
        """Wait until the group's offsets reach the end of the running micro-batch.

        Return whether that happened before Spark wrote the micro-batch to its commit log.
        """
        pipeline, checkpoint = self._job.pipeline, self._job.checkpoint
        newest = max((checkpoint / "offsets").glob("[0-9]*"), key=lambda entry: int(entry.name))
        ends = json.loads(newest.read_text("utf-8").splitlines()[-1])[pipeline.source]
        deadline = time.monotonic() + HIT_TIMEOUT_S
        while time.monotonic() < deadline:
            committed = committed_offsets(
                pipeline.broker.bootstrap_servers, pipeline.source, pipeline.source
            )
            if all(committed.get(int(number), 0) == end for number, end in ends.items()):
                return not (checkpoint / "commits" / newest.name).exists()
        return False


def _signal(pids: list[int], signum: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
