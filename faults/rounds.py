"""One round of the campaign: kill a job under load again and again, then check its output."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faults import checker
from faults.campaign_job import CampaignJob
from faults.feeder import Feeder, stream
from faults.findings import Findings, Recovery
from faults.killer import Killer
from faults.observed import ObservedOutcomes
from faults.sampler import Sampler

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from dev.pipeline.pipeline import Pipeline
    from faults.kills import Kill

PARTITIONS = 4
RATE = 40.0  # messages a second
RECOVERY_TIMEOUT_S = 300.0
DRAIN_TIMEOUT_S = 300.0


class NotRecovered(Exception):
    """The job runs, or is restarted again and again, but answers nothing."""


class Round:
    """A pipeline with a feeder, a sampler and a job that is killed."""

    def __init__(self, pipeline: Pipeline, mode: str, engine: str, rng: random.Random) -> None:
        """Take a pipeline whose topics nothing else uses."""
        self.findings = Findings(mode, engine, datetime.now(UTC).isoformat(timespec="seconds"))
        self._pipeline = pipeline
        self._rng = rng
        self._observed = ObservedOutcomes()
        self._job = CampaignJob(pipeline, mode, engine)

    def run(self, kills: Sequence[Kill], on_kill: Callable[[], None] = lambda: None) -> Findings:
        """Carry out the kills, wait for the remaining outcomes, and check all of them.

        Call `on_kill` after each kill.
        """
        pipeline, findings, start = self._pipeline, self.findings, time.time()
        servers = pipeline.broker.bootstrap_servers
        outputs = (pipeline.output, pipeline.dead)
        killer = Killer(self._job, self._rng, self._wait_for_outcomes)
        with ExitStack() as running:
            feeder = running.enter_context(
                Feeder(servers, pipeline.source, RATE, stream(self._rng))
            )
            sampler = running.enter_context(
                Sampler(servers, pipeline.source, [pipeline.source], outputs, self._observed)
            )
            running.enter_context(self._job)
            try:
                self._wait_for_outcomes(start)
                for kill in kills:
                    if times := killer.carry_out(kill):
                        findings.kills.append(Recovery(kill.target, kill.point, *times))
                        on_kill()
                self._drain(feeder.stop())
                self._job.stop()
            except NotRecovered as error:
                findings.stuck = str(error)
        findings.verdict = checker.check(
            servers,
            inputs=[pipeline.source],
            output=pipeline.output,
            dead_letters=pipeline.dead,
            specs=self._job.specs,
        )
        findings.samples, findings.ahead = sampler.checker.samples, sampler.checker.ahead
        findings.unexpected = self._job.unexpected
        findings.seconds = round(time.time() - start, 1)
        return findings

    def _wait_for_outcomes(self, since: float, started_after: float = 0.0) -> list[float]:
        """Wait until every input partition has an outcome after a time; return their times.

        Outcomes that the model began to compute before `started_after` do not count.
        """
        deadline = time.monotonic() + RECOVERY_TIMEOUT_S
        while len(times := self._observed.first_times_after(since, started_after)) < PARTITIONS:
            if time.monotonic() > deadline:
                raise NotRecovered(f"outcomes only in {sorted(times)}; {self._job.process.log}")
            self._job.restart_if_ended()
            time.sleep(0.02)
        return list(times.values())

    def _drain(self, sent: int) -> None:
        """Wait until all messages are answered; after a timeout leave the rest to the checker."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while len(self._observed) < sent and time.monotonic() < deadline:
            self._job.restart_if_ended()
            time.sleep(0.1)
