"""Killed processes are restarted, and nothing is lost."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from dev.pipeline.job_process import descendants, kill
from dev.pipeline.pipeline import message
from faults import job_processes

if TYPE_CHECKING:
    from pathlib import Path

    from dev.kafka.broker import Broker
    from dev.pipeline.pipeline import Pipeline
    from dev.pipeline.records import Record

COUNT = 60
TEXTS = {str(i): "held" if i >= 20 else f"t{i}" for i in range(COUNT)}


@pytest.fixture
def gate(pipeline: Pipeline) -> Path:
    """A file without which the job hangs in its second or third micro-batch."""
    return pipeline.folder / "gate"


@pytest.fixture
def job(pipeline: Pipeline, gate: Path) -> dict[str, str]:
    """A job that hangs half way through its messages until the gate opens."""
    pipeline.produce(*(message(uuid, text) for uuid, text in TEXTS.items()))
    return pipeline.environment(
        "Hanging",
        options={"until": str(gate), "on": "held"},
        max_seconds=3600,
        STREAM__MAX_OFFSETS_PER_TRIGGER="15",
        STREAM__TRIGGER="available-now",
    )


def answers(records: list[Record]) -> dict[str, set[str]]:
    """Return the answers to each message by uuid."""
    by_uuid: dict[str, set[str]] = {}
    for record in records:
        result = json.loads(record.value or b"")
        by_uuid.setdefault(result["uuid"], set()).add(result["answer"])
    return by_uuid


EXPECTED = {uuid: {text} for uuid, text in TEXTS.items()}


class TestKill:
    """A process is killed while messages are processed."""

    def test_the_job(self, pipeline: Pipeline, job: dict[str, str], gate: Path) -> None:
        """A job killed with its JVM and restarted gives each message one answer."""
        with pipeline.program(job) as program:
            pipeline.wait_for_results(program)
            kill([program.process.pid, *descendants(program.process.pid)])
            program.wait()
        assert len(pipeline.results()) < COUNT
        gate.touch()
        with pipeline.program(job) as program:
            assert program.wait() == 0, program.output
        assert answers(pipeline.results()) == EXPECTED
        assert pipeline.dead_letters() == []
        assert pipeline.committed() == (COUNT, 0)

    @pytest.mark.slow  # test_campaign.py kills workers at each point of a transaction
    def test_a_worker(self, pipeline: Pipeline, job: dict[str, str], gate: Path) -> None:
        """A killed Python worker only costs its task a second attempt."""
        with pipeline.program(job) as program:
            pipeline.wait_for_results(program)
            workers = job_processes.find(program.process.pid, "worker")
            assert workers
            kill(workers)
            gate.touch()
            assert program.wait() == 0, program.output
        assert answers(pipeline.results()) == EXPECTED
        assert pipeline.dead_letters() == []

    def test_the_broker(
        self, broker: Broker, pipeline: Pipeline, job: dict[str, str], gate: Path
    ) -> None:
        """A killed and restarted broker delays the answers, but does not end the job."""
        with pipeline.program(job) as program:
            pipeline.wait_for_results(program)
            broker.kill()
            gate.touch()
            time.sleep(3)
            broker.start()
            assert program.wait() == 0, program.output
        assert answers(pipeline.results()) == EXPECTED
        assert pipeline.dead_letters() == []
        assert pipeline.committed() == (COUNT, 0)
        assert program.output.count("offsets not committed") <= 1
