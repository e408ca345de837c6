"""A job that was presumed dead continues: nothing that it writes becomes visible."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from dev import PYTHONPATH
from dev.pipeline.job_process import descendants, kill
from dev.pipeline.records import as_record
from faults import scenario
from faults.failpoints import HOOK, Failpoints
from faults.outcome_reader import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from dev.pipeline.pipeline import Pipeline


def send(pids: Iterable[int], signum: int) -> None:
    """Send a signal to the processes that still exist."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def hooked(pipeline: Pipeline, failpoints: Failpoints) -> dict[str, str]:
    """Return the environment of an exactly-once job that failpoints can hold in a transaction."""
    return {
        **pipeline.environment("Upper", STREAM__DELIVERY="exactly-once"),
        **failpoints.environment(pipeline.folder / "checkpoint"),
        "PYTHONPATH": f"{HOOK}:{PYTHONPATH}:{os.environ['PYTHONPATH']}",
        "PYSPARK_PYTHON": sys.executable,
    }


def written(pipeline: Pipeline) -> list[tuple[str, int, int]]:
    """Return the records of the output topics, including those of aborted transactions."""
    consumer = Consumer(
        {
            "bootstrap.servers": pipeline.broker.bootstrap_servers,
            "group.id": "reads-without-committing",
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
            "enable.partition.eof": True,
        }
    )
    records: list[tuple[str, int, int]] = []
    try:
        for topic in (pipeline.output, pipeline.dead):
            for p in consumer.list_topics(topic, TIMEOUT_S).topics[topic].partitions:
                consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING)])
                while True:
                    message = consumer.poll(TIMEOUT_S)
                    assert message is not None, f"the end of {topic} was not reached"
                    if (error := message.error()) is not None:
                        break
                    records.append((topic, p, as_record(message).offset))
                assert error.code() == KafkaError._PARTITION_EOF, error  # noqa: SLF001 - its public name
    finally:
        consumer.close()
    return records


def copied(old: Path, new: Path) -> None:
    """Copy the other job's checkpoint."""
    shutil.copytree(old, new)


def none(_old: Path, _new: Path) -> None:
    """Start without a checkpoint."""


class TestSuperseded:
    """A job is paused during a transaction, another takes over, and the first resumes."""

    @pytest.mark.parametrize("checkpoint", [copied, pytest.param(none, marks=pytest.mark.slow)])
    def test_writes_nothing(
        self, pipeline: Pipeline, checkpoint: Callable[[Path, Path], None]
    ) -> None:
        """The first job's transaction is aborted, and it ends with a named error."""
        failpoints = Failpoints(pipeline.folder / "failpoints")
        old, new = pipeline.folder / "checkpoint", pipeline.folder / "new-checkpoint"
        pipeline.produce(*islice(scenario.messages(), 60))
        with pipeline.program(hooked(pipeline, failpoints)) as first:
            paused: list[int] = []
            try:
                with failpoints.armed("before-commit", "nobody", TIMEOUT_S) as hit:
                    assert hit, first.output
                    paused = [first.process.pid, *descendants(first.process.pid)]
                    send(paused, signal.SIGSTOP)
                checkpoint(old, new)
                job = pipeline.environment(
                    "Upper",
                    STREAM__DELIVERY="exactly-once",
                    STREAM__CHECKPOINT_LOCATION=str(new),
                )
                with pipeline.program(job) as second:
                    scenario.wait_for_all(pipeline, second)
                    before = written(pipeline)
                    send(paused, signal.SIGCONT)
                    assert first.wait() == 2, first.output
                    assert "Superseded" in first.output
                    assert written(pipeline) == before
                    pipeline.produce(*islice(scenario.messages(), 20))
                    scenario.wait_for_all(pipeline, second)
                    scenario.end(second)
            finally:
                kill(paused)
        scenario.check(pipeline, "exactly-once")
