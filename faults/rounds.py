"""One round: a job under load is struck, again and again, then all it wrote is checked."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faults import checker
from faults.feeder import Feeder, stream
from faults.findings import Findings, Kill
from faults.killer import Striker
from faults.observed import Seen
from faults.sampler import Sampler
from faults.target import Target

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from dev.pipeline.pipeline import Pipeline
    from faults.kills import Strike

PARTITIONS = 4
RATE = 40.0  # messages a second
RECOVERED_WITHIN_S = 300.0
DRAINED_WITHIN_S = 300.0


class NotRecovered(Exception):
    """The job runs, or is started again and again, and answers nothing any more."""


class Round:
    """A pipeline with a feeder, a sampler and the job, for as long as the strikes take."""

    def __init__(self, pipeline: Pipeline, mode: str, engine: str, rng: random.Random) -> None:
        """Take the pipeline, whose topics nobody else uses."""
        self.findings = Findings(mode, engine, datetime.now(UTC).isoformat(timespec="seconds"))
        self._pipeline = pipeline
        self._rng = rng
        self._seen = Seen()
        self._target = Target(pipeline, mode, engine)

    def run(self, strikes: Sequence[Strike], done: Callable[[], None] = lambda: None) -> Findings:
        """Strike, drain, check; `done` is called after each kill."""
        pipeline, found, start = self._pipeline, self.findings, time.time()
        servers = pipeline.broker.bootstrap_servers
        outputs = (pipeline.output, pipeline.dead)
        striker = Striker(self._target, self._rng, self._recovered)
        with ExitStack() as running:
            feeder = running.enter_context(
                Feeder(servers, pipeline.source, RATE, stream(self._rng))
            )
            sampler = running.enter_context(
                Sampler(servers, pipeline.source, [pipeline.source], outputs, self._seen)
            )
            running.enter_context(self._target)
            try:
                self._recovered(start)
                for strike in strikes:
                    if took := striker.strike(strike):
                        found.kills.append(Kill(strike.victim, strike.point, *took))
                        done()
                self._drain(feeder.stop())
                self._target.stop()
            except NotRecovered as error:
                found.stuck = str(error)
        found.verdict = checker.check(
            servers,
            inputs=[pipeline.source],
            output=pipeline.output,
            dead_letters=pipeline.dead,
            specs=self._target.specs,
        )
        found.samples, found.ahead = sampler.verdict.samples, sampler.verdict.ahead
        found.ended = self._target.ended
        found.seconds = round(time.time() - start, 1)
        return found

    def _recovered(self, since: float) -> list[float]:
        """Wait until every input partition has an outcome after a time; return when each had."""
        deadline = time.monotonic() + RECOVERED_WITHIN_S
        while len(times := self._seen.next_after(since)) < PARTITIONS:
            if time.monotonic() > deadline:
                raise NotRecovered(f"only in {sorted(times)}; {self._target.program.log}")
            self._target.keep_up()
            time.sleep(0.02)
        return list(times.values())

    def _drain(self, sent: int) -> None:
        """Wait until all is answered; what is not then, the checker finds."""
        deadline = time.monotonic() + DRAINED_WITHIN_S
        while len(self._seen) < sent and time.monotonic() < deadline:
            self._target.keep_up()
            time.sleep(0.1)
