"""The job as a program: stops, exit codes and output."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dev import ROOT
from dev.pipeline.job_process import (
    JobProcess,
    descendants,
    pool_processes,
    running_processes,
)
from dev.pipeline.pipeline import message
from tidemill.spark.jars import connector_jars

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.pipeline.pipeline import Pipeline

# No process of a pool outlives Spark by more seconds, even on a busy machine.
ORPHANED_S = 60.0
COUNT = 2000  # a micro-batch of 10 takes a second, so that only a few are finished at the stop


def first_of_each(sources: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return as many sources of each partition, from offset 0 on, as there are in a list."""
    counts = Counter(partition for partition, _ in sources)
    return {(partition, n) for partition, count in counts.items() for n in range(count)}


class TestStop:
    """A stop ends the job between two micro-batches, after a last commit."""

    def test_nothing_is_repeated(self, pipeline: Pipeline) -> None:
        """On SIGTERM or SIGINT the job finishes its micro-batch and exits 0; the rest waits."""
        pipeline.produce(*map(message, range(COUNT)))
        job = pipeline.environment(
            "Slow", options={"seconds": 0.2}, STREAM__MAX_OFFSETS_PER_TRIGGER="10"
        )
        done = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            with pipeline.program(job) as program:
                pipeline.wait_for_results(program, done + 1)
                program.process.send_signal(number)
                assert program.wait() == 0, program.output
                assert "stream stopped" in program.output
                assert "signal" in program.output
                assert "Traceback" not in program.output
            sources = [record.source for record in pipeline.results()]
            assert done + 8 <= len(sources) < COUNT
            done = len(sources)
            assert pipeline.committed() == (done, COUNT - done), "a batch was cut"
            assert set(sources) == first_of_each(sources), "a message was repeated or left out"


class TestSparkSubmit:
    """Under spark-submit a signal reaches only the JVM."""

    def test_stop_marker(self, pipeline: Pipeline) -> None:
        """`tidemill stop` ends the job: exit code 0, results written, offsets committed."""
        pipeline.produce(*map(message, range(5)))
        job = pipeline.environment("Upper", SPARK='{"spark.sql.shuffle.partitions": "1"}')
        job["PYSPARK_PYTHON"] = sys.executable  # also tells spark-submit where Spark is
        submit = [
            str(Path(sys.executable).with_name("spark-submit")),
            *("--master", "local[2]", "--conf", "spark.ui.enabled=false"),
            *("--conf", "spark.python.unix.domain.socket.enabled=true"),
            *("--jars", ",".join(map(str, connector_jars()))),
        ]
        script = str(ROOT / "app" / "run.py")
        with JobProcess(pipeline.folder, job, script, launcher=submit) as program:
            pipeline.wait_for_results(program, 5)
            with pipeline.program(job, "stop") as stop:
                assert stop.wait() == 0, stop.output
            assert program.wait() == 0, program.output
        assert pipeline.committed() == (5, 0)


class TestUnforkableModels:
    """If a model keeps a thread, each process of the pool loads its own."""

    def test_first_attempt(self, pipeline: Pipeline) -> None:
        """The first attempt succeeds, and each process answers with a model that it has loaded."""
        pipeline.produce(*map(message, range(5)))
        log = pipeline.folder / "loaded"
        options = {"log": str(log), "what": "thread"}
        job = pipeline.environment("Keeper", options=options, STREAM__TRIGGER="available-now")
        with pipeline.program(job) as program:
            assert program.wait() == 0, program.output
            assert "each process loads its own" in program.output
            assert "Exception" not in program.output
        answers = [json.loads(record.value or b"")["answer"] for record in pipeline.results()]
        assert len(answers) == 5
        assert {str(answer["pid"]) for answer in answers} <= set(log.read_text().split())


class TestFailures:
    """A failure is one line, and an exit code that shows whether a restart may help."""

    def test_outage_of_the_model(self, pipeline: Pipeline) -> None:
        """A model outage fails the job with exit code 1; nothing becomes a dead letter."""
        pipeline.produce(*map(message, range(5)))
        with pipeline.program(pipeline.environment("Broken")) as program:
            assert program.wait() == 1
            errors = [line for line in program.output.splitlines() if "[error" in line]
            assert len(errors) == 1, program.output
            assert "test:1 fails on its own sample" in errors[0]
            assert "no route" in errors[0]
            assert "Traceback" not in program.output
            assert len(program.output.splitlines()) < 9, program.output
        assert pipeline.results() == pipeline.dead_letters() == []

    def test_outage_of_one_model(self, pipeline: Pipeline) -> None:
        """Retries of the failed task do not write the results of other models again."""
        pipeline.produce(
            *({**message(i), "partition": 0} for i in range(600)),
            {**message("x", lang="fr"), "partition": 0},
        )
        job = pipeline.environment("Upper")
        models = pipeline.folder / "models.yaml"
        entries = yaml.safe_load(models.read_text())["models"]
        down = {"adapter": "example_models:Broken", "name": "down", "match": {"lang": "fr"}}
        models.write_text(yaml.safe_dump({"models": [*entries, {**entries[0], **down}]}))
        with pipeline.program(job) as program:
            assert program.wait() == 1, program.output
            assert "down:1 fails on its own sample" in program.output
        sources = [record.source for record in pipeline.results()]
        assert len(sources) == len(set(sources)) < 600
        assert pipeline.dead_letters() == []

    def test_unloadable_model(self, pipeline: Pipeline) -> None:
        """A model that cannot be loaded is a configuration error: exit code 2."""
        pipeline.produce(message(1))
        with pipeline.program(pipeline.environment("Upper", options={"unknown": 1})) as program:
            assert program.wait() == 2, program.output
            assert "takes no arguments" in program.output

    def test_killed_jvm(self, pipeline: Pipeline) -> None:
        """If the JVM dies, its model processes end, and the job ends with one line about it."""
        pipeline.produce(*map(message, range(COUNT)))
        job = pipeline.environment(
            "Slow", options={"seconds": 0.2}, STREAM__MAX_OFFSETS_PER_TRIGGER="10"
        )
        with pipeline.program(job) as program:
            pipeline.wait_for_results(program)
            (java,) = [
                pid
                for pid, command in descendants(program.process.pid).items()
                if "org.apache.spark.deploy.SparkSubmit" in command
            ]
            pool = set(pool_processes(program.process.pid))
            assert len(pool) >= 2, "there is no server with a process"
            os.kill(java, signal.SIGKILL)
            deadline = time.monotonic() + ORPHANED_S
            while left := pool & running_processes().keys():
                assert time.monotonic() < deadline, f"still there: {left}"
                time.sleep(0.1)
            assert program.wait() == 1, program.output
            errors = [line for line in program.output.splitlines() if "[error" in line]
            assert len(errors) == 1, program.output
            assert "the Java process that runs Spark has ended" in errors[0]

    def test_missing_and_compacted_topics(
        self, pipeline: Pipeline, make_topic: Callable[..., str]
    ) -> None:
        """The job refuses topics that could lose a message; `check` reports the same."""
        compacted = make_topic("compacted", configs={"cleanup.policy": "compact"})
        job = pipeline.environment(
            "Upper", STREAM__INPUT_TOPICS='["not-there"]', STREAM__DEAD_LETTER_TOPIC=compacted
        )
        for command in ("stream", "check"):
            with pipeline.program(job, command) as program:
                assert program.wait() == 2, program.output
                assert "there is no topic not-there" in program.output
                assert f"{compacted} is compacted" in program.output
                assert "--add-config cleanup.policy=delete" in program.output

    def test_valid_configuration(self, pipeline: Pipeline) -> None:
        """`check` exits 0 if the job can run."""
        with pipeline.program(pipeline.environment("Upper"), "check") as program:
            assert program.wait() == 0, program.output
