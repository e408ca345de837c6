"""A job on a pipeline, in this process or as its own, and what has come of its messages."""

from __future__ import annotations

import random
import signal
import time
import uuid
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from dev.kafka.topics import create_topic
from dev.pipeline.pipeline import Pipeline
from dev.pipeline.records import INPUT_LIMIT, as_record
from faults import checker
from faults.feeder import Feeder, stream
from tidemill.models import catalogue
from tidemill.streaming.preflight import ADDED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.kafka.broker import Broker
    from dev.pipeline.job_process import JobProcess
    from tidemill.inference.model import ModelSpec

LIMIT = {"max.message.bytes": str(INPUT_LIMIT + ADDED_BYTES)}
PATIENCE_S = 240.0
# Of the scenarios that start jobs as programs, `make test` has the stronger promise only.
BOTH = ["exactly-once", pytest.param("at-least-once", marks=pytest.mark.slow)]
# Of tests whose fixtures know the delivery: what holds with exactly-once only.
EXACTLY_ONCE = pytest.mark.parametrize("delivery", ["exactly-once"], indirect=True)


def make_pipeline(
    broker: Broker, folder: Path, *, replicas: int = 1, output: dict[str, str] | None = None
) -> Pipeline:
    """Make topics that nobody else uses; `output` configures those that the job writes."""
    folder.mkdir(parents=True, exist_ok=True)
    servers, name = broker.bootstrap_servers, uuid.uuid4().hex[:8]
    configs = LIMIT | (output or {})
    create_topic(servers, f"in-{name}", partitions=3, replicas=replicas)
    create_topic(servers, f"out-{name}", partitions=3, replicas=replicas, configs=configs)
    create_topic(servers, f"dead-{name}", replicas=replicas, configs=configs)
    return Pipeline(broker, f"in-{name}", f"out-{name}", f"dead-{name}", folder)


def messages() -> Iterator[dict[str, Any]]:
    """Return messages without end, as `produce` takes them: the same each time."""
    return stream(random.Random(1))  # noqa: S311 - to be repeated, not to be unguessable


def models(pipeline: Pipeline) -> list[ModelSpec]:
    """Return the models of the job: one that answers in capitals, unless a test chose others."""
    file = pipeline.folder / "models.yaml"
    if not file.exists():
        pipeline.environment("Upper")
    return list(catalogue.load_models(file))


def outcomes(pipeline: Pipeline) -> Counter[tuple[int, int]]:
    """Return how many results and dead letters each message has, by partition and offset."""
    return Counter(record.source for record in [*pipeline.results(), *pipeline.dead_letters()])


def wait_for_all(pipeline: Pipeline, program: JobProcess, timeout: float = PATIENCE_S) -> None:
    """Wait until a running job has answered all that stands in the input topic now."""
    with closing(Reader(pipeline)) as reader:
        due = reader.due()

        def answered() -> bool:
            program.must_run()
            reader.read()
            return due <= reader.answered

        wait_until(answered, timeout, lambda: f":\n{program.output}")


class Reader:
    """Which messages have an outcome, while more and more are written."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Read the results and dead letters from their start."""
        self.answered: set[tuple[int, int]] = set()
        self._pipeline = pipeline
        self._consumer = Consumer(
            {
                "bootstrap.servers": pipeline.broker.bootstrap_servers,
                "group.id": "reads-without-committing",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self._consumer.assign(
            [
                TopicPartition(topic, p, OFFSET_BEGINNING)
                for topic in (pipeline.output, pipeline.dead)
                for p in self._partitions(topic)
            ]
        )

    def due(self) -> set[tuple[int, int]]:
        """Return the messages of the input topic, by partition and offset."""
        found = set()
        for p in self._partitions(self._pipeline.source):
            first, end = self._ends(TopicPartition(self._pipeline.source, p))
            found |= {(p, offset) for offset in range(first, end)}
        return found

    def read(self) -> None:
        """Take what has been written since the last call."""
        for message in self._consumer.consume(10_000, 0.3):
            if message.error() is None:
                self.answered.add(as_record(message).source)

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _ends(self, at: TopicPartition) -> tuple[int, int]:
        """Return a partition's first offset and its next, from whoever leads it in the end."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._consumer.get_watermark_offsets(at, PATIENCE_S)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def _partitions(self, topic: str) -> list[int]:
        return list(self._consumer.list_topics(topic, PATIENCE_S).topics[topic].partitions)


class Flow:
    """A running job and messages for it, while things go wrong."""

    def __init__(
        self, pipeline: Pipeline, delivery: str, program: JobProcess, rate: float = 40
    ) -> None:
        """Take the job, as it starts, and how many messages a second it gets."""
        self._pipeline = pipeline
        self._delivery = delivery
        self.program = program
        self._feeder = Feeder(pipeline.broker.bootstrap_servers, pipeline.source, rate, messages())

    def __enter__(self) -> Self:
        """Let messages flow, and wait until the job is at work."""
        self._feeder.__enter__()
        self._pipeline.wait_for_results(self.program)
        self.catch_up()
        return self

    def catch_up(self) -> None:
        """Wait until all that was sent up to now is answered."""
        wait_for_all(self._pipeline, self.program)

    def finish(self) -> None:
        """End the job in order, and hold all outcomes against the promise."""
        self._feeder.stop()
        self.catch_up()
        end(self.program)
        check(self._pipeline, self._delivery)

    def __exit__(self, *exception: object) -> None:
        """Let nothing go on."""
        self.program.__exit__(*exception)
        self._feeder.__exit__(*exception)


def end(program: JobProcess) -> None:
    """Have a job end in order."""
    program.process.send_signal(signal.SIGTERM)
    assert program.wait() == 0, program.output


def wait_until(
    condition: Callable[[], object], timeout: float = PATIENCE_S, tell: Callable[[], str] = str
) -> None:
    """Wait until a condition holds; where it never does, fail with what there is to tell."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not so after {timeout:g} s{tell()}"
        time.sleep(0.3)


def check(pipeline: Pipeline, delivery: str) -> None:
    """Fail where a message of a pipeline has not what its delivery promises."""
    verdict = checker.check(
        pipeline.broker.bootstrap_servers,
        inputs=[pipeline.source],
        output=pipeline.output,
        dead_letters=pipeline.dead,
        specs=models(pipeline),
    )
    assert verdict.inputs
    assert verdict.holds(exactly_once=delivery == "exactly-once"), str(verdict)
