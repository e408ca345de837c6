"""Run tasks: claim what waits, watch over its processes, and take over what others have lost."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from tidemill.errors import TidemillError, describe, log_fields
from tidemill.tasks.execution import Execution
from tidemill.tasks.leases import Leases
from tidemill.tasks.outcome import Failure
from tidemill.tasks.retention import drop_old, shared_now_ms
from tidemill.tasks.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.tasks.tasks import Tasks

log = structlog.get_logger(__name__)

POLL_S: Final = 0.1  # between two looks for a run that waits; idle, 1% of a core
BEAT_S: Final = 1.0  # between two signs of life, if the take-over time allows it
BEATS: Final = 5  # signs of life within the take-over time
LEAVE_POLL_S: Final = 0.05
RETENTION_S: Final = 60.0  # between two looks for old runs
NO_PROCESS_S: Final = 5.0  # until the next claim, if this machine could not start a process


class Patience(NamedTuple):
    """How a worker runs tasks; the settings explain these, all in seconds but `slots`."""

    slots: int = 2
    take_over: float = 15
    grace: float = 5
    keep: float = 30 * 86_400


class Worker:
    """Runs tasks, each in a process of its own, in one thread that never waits for a task.

    So its signs of life mean what they say: whoever shows them also watches over the processes.
    """

    def __init__(
        self,
        tasks: Tasks,
        patience: Patience = Patience(),  # noqa: B008 - immutable
        *,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve the jobs of `tasks`; `clock` is monotonic.

        Raises:
            StoreUnavailable: The database cannot be reached.

        """
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._tasks = tasks
        self._patience = patience
        self._clock = clock
        self._leases = Leases(tasks.store, tasks.jobs, self.name)
        self._silence = Silence(patience.take_over, patience.take_over / BEATS * 2)
        self._running: list[Execution] = []
        self._stopping = threading.Event()
        # The database's, at the start: if this machine's clock is wrong or jumps, no run seems old.
        self._epoch = shared_now_ms(tasks.store.database) - clock() * 1000
        self._due: dict[str, float] = {}
        self._failing = False

    def stop(self) -> None:
        """Let `run` return, from a signal handler or another thread."""
        self._stopping.set()

    def run(self, *, until_idle: bool = False) -> None:
        """Run tasks until `stop`, or no task waits or runs; give back those that have not ended."""
        log.info("worker started", worker=self.name, jobs=sorted(self._tasks.jobs))
        try:
            while not self._stopping.is_set():
                self.step()
                if until_idle and self._is_idle():
                    break
        finally:
            self._leave()
        log.info("worker stopped", worker=self.name)

    def step(self) -> None:
        """Do what is due, then wait a little for the processes."""
        for execution in self._running:
            execution.step(self._clock())
        try:
            self._work()
        except TidemillError as error:
            # The processes go on; what they did is written when the database is back.
            if not self._failing:
                log.warning("cannot reach the tasks", error=error.message, **log_fields(error))
            self._failing = True
            self._stopping.wait(POLL_S)
        else:
            if self._failing:
                log.info("the tasks can be reached again")
            self._failing = False
            pipes = [each.pipe for each in self._running if each.pipe is not None]
            if pipes:
                wait(pipes, POLL_S)
            else:
                self._stopping.wait(POLL_S)

    def _work(self) -> None:
        if self._beat_if_due():
            self._take_over()
        ended = [each for each in self._running if each.has_ended]
        for execution in ended:
            self._settle(execution)
        if self._is_due("claim", POLL_S) or ended:
            while len(self._running) < self._patience.slots and self._claim():
                pass
        if self._is_due("retention", RETENTION_S):
            now = self._epoch + self._clock() * 1000
            if drop_old(self._tasks.store, int(now - self._patience.keep * 1000)):
                del self._due["retention"]  # of more in the next step: a sign of life may be due

    def _is_idle(self) -> bool:
        """Return whether no task waits or runs; not if the database does not answer."""
        if self._running or self._failing:
            return False
        try:
            return self._leases.is_idle()
        except TidemillError:
            return False

    def _is_due(self, what: str, seconds: float) -> bool:
        """Return whether it is time for something again, which is done once in some seconds."""
        now = self._clock()
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + seconds
        return True

    def _claim(self) -> bool:
        claim = self._leases.claim()
        if claim is None:
            return False
        log.info("task begins", run=claim.id, job=claim.job, attempt=claim.attempt)
        job = self._tasks.jobs[claim.job]
        limits: dict[str, Any] = {
            "max_result": self._tasks.limits.result,
            "grace": self._patience.grace,
        }
        try:
            self._running.append(Execution(claim, job, **limits))
        except TypeError as error:  # options that JSON lacks
            self._leases.finish(claim, Failure.of(error))
        except OSError as error:  # of this machine: the task would fail here, and so would the next
            log.error("cannot start a process", run=claim.id, error=describe(error))  # noqa: TRY400
            self._due["claim"] = self._clock() + NO_PROCESS_S
            sign = claim.attempt, None
            self._leases.give_back(claim.id, sign, "no process was started", forgive=True)
            return False
        return True

    def _beat_if_due(self) -> bool:
        """Show signs of life if it is time for it; return whether it was."""
        is_due = self._is_due("beat", min(BEAT_S, self._patience.take_over / BEATS))
        if is_due:
            self._beat()
        return is_due

    def _beat(self) -> None:
        alive = {each.claim: each.progress for each in self._running if each.is_wanted}
        if not alive:
            return
        lost, cancelled = self._leases.beat(alive)
        for execution in self._running:
            if execution.claim in alive:
                execution.shown(alive[execution.claim])
            if execution.claim in cancelled:
                execution.stop(self._clock(), cancelled=True)
            elif execution.claim in lost:
                log.warning("another worker has taken the task over", run=execution.claim.id)
                execution.is_wanted = False
                execution.kill()

    def _take_over(self) -> None:
        mine = {execution.claim.id for execution in self._running}
        signs = {r: sign for r, sign in self._leases.running().items() if r not in mine}
        for run in self._silence.look(signs, self._clock()):
            if self._leases.give_back(run, signs[run], "its worker ended or was cut off"):
                log.warning("took a task over", run=run)

    def _settle(self, execution: Execution, *, forgive: bool = False) -> None:
        """Write what became of a process that has ended."""
        execution.step(self._clock())  # it may have written its last line just before
        claim, outcome = execution.claim, execution.outcome
        if not execution.is_wanted:
            written = False
        elif outcome is not None:
            written = self._leases.finish(claim, outcome, execution.progress)
        else:
            sign = claim.attempt, None
            written = self._leases.give_back(claim.id, sign, execution.why, forgive=forgive)
        self._running.remove(execution)
        execution.close()
        became = outcome.error if isinstance(outcome, Failure) else outcome and "succeeded"
        extra = {} if written else {"ignored": True}  # it was cancelled or taken over
        log.info("task ended", run=claim.id, outcome=became or execution.why, **extra)

    def _leave(self) -> None:
        """End all processes, and let their runs wait for other workers."""
        for execution in self._running:
            execution.stop(self._clock())
        while not all(execution.has_ended for execution in self._running):
            time.sleep(LEAVE_POLL_S)
            for execution in self._running:
                execution.step(self._clock())
            with suppress(TidemillError):
                self._beat_if_due()  # else another worker would begin them before they have ended
        try:
            for execution in list(self._running):
                self._settle(execution, forgive=True)
        except TidemillError as error:
            log.warning("cannot give tasks back; they are taken over", error=error.message)
