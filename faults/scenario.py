"""Shared steps of the tests in test/kafka/faults: run a job, feed it, check its outcomes."""

from __future__ import annotations

import random
import signal
import time
import uuid
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

import pytest

from dev.kafka.topics import create_topic
from dev.pipeline.pipeline import Pipeline
from dev.pipeline.records import INPUT_LIMIT
from faults import checker
from faults.feeder import Feeder, stream
from faults.outcome_reader import TIMEOUT_S, OutcomeReader
from tidemill.inference.route import all_specs
from tidemill.models import catalogue
from tidemill.streaming.preflight import ADDED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.kafka.servers import KafkaServers
    from dev.pipeline.job_process import JobProcess
    from tidemill.inference.model import ModelSpec

LIMIT = {"max.message.bytes": str(INPUT_LIMIT + ADDED_BYTES)}
# `make test` runs scenarios that start jobs as processes with exactly-once only.
BOTH = ["exactly-once", pytest.param("at-least-once", marks=pytest.mark.slow)]
# For tests with a `delivery` fixture: what holds with exactly-once only.
EXACTLY_ONCE = pytest.mark.parametrize("delivery", ["exactly-once"], indirect=True)


def make_pipeline(
    broker: KafkaServers, folder: Path, *, replicas: int = 1, output: dict[str, str] | None = None
) -> Pipeline:
    """Create topics for one test; `output` configures the two that the job writes to."""
    folder.mkdir(parents=True, exist_ok=True)
    servers, name = broker.bootstrap_servers, uuid.uuid4().hex[:8]
    configs = LIMIT | (output or {})
    create_topic(servers, f"in-{name}", partitions=3, replicas=replicas)
    create_topic(servers, f"out-{name}", partitions=3, replicas=replicas, configs=configs)
    create_topic(servers, f"dead-{name}", replicas=replicas, configs=configs)
    return Pipeline(broker, f"in-{name}", f"out-{name}", f"dead-{name}", folder)


def messages() -> Iterator[dict[str, Any]]:
    """Yield messages without end, as arguments of `produce`: the same at each call."""
    return stream(random.Random(1))  # noqa: S311 - reproducible, not secret


def models(pipeline: Pipeline) -> list[ModelSpec]:
    """Return the job's models; `Upper`, if the test has not chosen others."""
    file = pipeline.folder / "models.yaml"
    if not file.exists():
        pipeline.environment("Upper")
    return list(all_specs(catalogue.load_models(file)))


def outcomes(pipeline: Pipeline) -> Counter[tuple[int, int]]:
    """Count the results and dead letters of each message, by partition and offset."""
    return Counter(record.source for record in [*pipeline.results(), *pipeline.dead_letters()])


def wait_for_all(pipeline: Pipeline, program: JobProcess, timeout: float = TIMEOUT_S) -> None:
    """Wait until a running job has answered all messages that are in the input topic now."""
    with closing(OutcomeReader(pipeline)) as reader:
        sent = reader.sent()

        def answered() -> bool:
            program.must_run()
            reader.read()
            return sent <= reader.answered

        wait_until(answered, timeout, lambda: f":\n{program.output}")


class Flow:
    """A running job and a feeder, around the fault that a test injects."""

    def __init__(
        self, pipeline: Pipeline, delivery: str, program: JobProcess, rate: float = 40
    ) -> None:
        """Take a job that is starting, and the rate of messages a second."""
        self._pipeline = pipeline
        self._delivery = delivery
        self.program = program
        self._feeder = Feeder(pipeline.broker.bootstrap_servers, pipeline.source, rate, messages())

    def __enter__(self) -> Self:
        """Start the feeder, and wait until the job answers."""
        self._feeder.__enter__()
        self._pipeline.wait_for_results(self.program)
        self.catch_up()
        return self

    def catch_up(self) -> None:
        """Wait until all messages that were sent so far are answered."""
        wait_for_all(self._pipeline, self.program)

    def finish(self) -> None:
        """Stop the job, and check that the outcomes keep the promise of its delivery."""
        self._feeder.stop()
        self.catch_up()
        end(self.program)
        check(self._pipeline, self._delivery)

    def __exit__(self, *exception: object) -> None:
        """Stop the job and the feeder."""
        self.program.__exit__(*exception)
        self._feeder.__exit__(*exception)


def end(program: JobProcess) -> None:
    """Stop a job with SIGTERM; it must exit with 0."""
    program.process.send_signal(signal.SIGTERM)
    assert program.wait() == 0, program.output


def wait_until(
    condition: Callable[[], object], timeout: float = TIMEOUT_S, details: Callable[[], str] = str
) -> None:
    """Wait until a condition holds; after the timeout fail with the details."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"still false after {timeout:g} s{details()}"
        time.sleep(0.3)


def check(pipeline: Pipeline, delivery: str) -> None:
    """Fail if a message's outcomes break the promise of the delivery."""
    verdict = checker.check(
        pipeline.broker.bootstrap_servers,
        inputs=[pipeline.source],
        output=pipeline.output,
        dead_letters=pipeline.dead,
        specs=models(pipeline),
    )
    assert verdict.inputs
    assert verdict.holds(exactly_once=delivery == "exactly-once"), str(verdict)
