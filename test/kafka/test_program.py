"""The job as a program: stops, exit codes, what it says."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from dev import ROOT
from dev.pipeline.job_process import JobProcess, descendants
from dev.pipeline.pipeline import message
from tidemill.spark.jars import connector_jars

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.pipeline.pipeline import Pipeline

COUNT = 200  # micro-batches of 10 take a second each: none but the first few are done at the stop


class TestStop:
    """A stop ends the job between two micro-batches, and commits what was done."""

    @pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
    def test_nothing_is_done_twice(self, how: str, pipeline: Pipeline) -> None:
        """Asked in the midst of a batch, it ends that and exits 0; the rest waits."""
        pipeline.produce(*map(message, range(COUNT)))
        job = pipeline.environment(
            "Slow", options={"seconds": 0.2}, STREAM__MAX_OFFSETS_PER_TRIGGER="10"
        )
        with pipeline.program(job) as program:
            pipeline.wait_for_results(program)
            program.process.send_signal(signal.Signals[how])
            assert program.wait() == 0, program.output
            assert "stream stopped" in program.output
            assert "Traceback" not in program.output
        sources = [record.source for record in pipeline.results()]
        assert 8 <= len(sources) < COUNT
        assert pipeline.committed() == (len(sources), COUNT - len(sources)), "a batch was cut"

        if how == "SIGTERM":
            job = pipeline.environment(
                "Slow", options={"seconds": 0}, STREAM__TRIGGER="available-now"
            )
            with pipeline.program(job) as program:
                assert program.wait() == 0, program.output
            answers = [json.loads(record.value or b"")["uuid"] for record in pipeline.results()]
            assert sorted(answers, key=int) == [str(i) for i in range(COUNT)]
            assert pipeline.committed() == (COUNT, 0)


class TestSparkSubmit:
    """The job starts under spark-submit, where a signal reaches Java only."""

    def test_answers_until_the_marker(self, pipeline: Pipeline) -> None:
        """`tidemill stop` ends it: exit code 0, its answers written, its offsets committed."""
        pipeline.produce(*map(message, range(5)))
        job = pipeline.environment("Upper", SPARK='{"spark.sql.shuffle.partitions": "1"}')
        job["PYSPARK_PYTHON"] = sys.executable  # by which spark-submit finds Spark, too
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


class TestModelsThatAreNotShared:
    """Java's workers come from a process without models, where a model forbids that it has them."""

    @pytest.mark.parametrize("what", ["thread", "socket"])
    def test_answers(self, pipeline: Pipeline, what: str) -> None:
        """At the first attempt: Java is told of that process's socket, whatever ended before."""
        pipeline.produce(*map(message, range(5)))
        options = {"log": str(pipeline.folder / "loaded"), "what": what}
        job = pipeline.environment("Keeper", options=options, STREAM__TRIGGER="available-now")
        with pipeline.program(job) as program:
            assert program.wait() == 0, program.output
            assert "Exception" not in program.output
        assert len(pipeline.results()) == 5


class TestFailures:
    """A failure is one line, and an exit code that tells a restart from a correction."""

    def test_outage_of_the_model(self, pipeline: Pipeline) -> None:
        """A broken model fails the job, which a restart may mend; nothing is dead-lettered."""
        pipeline.produce(*map(message, range(5)))
        with pipeline.program(pipeline.environment("Broken")) as program:
            assert program.wait() == 1
            errors = [line for line in program.output.splitlines() if "[error" in line]
            assert len(errors) == 1, program.output
            assert "test:1 is down" in errors[0]
            assert "no route" in errors[0]
            assert "Traceback" not in program.output
            assert len(program.output.splitlines()) < 8, program.output
        assert pipeline.results() == pipeline.dead_letters() == []

    def test_outage_of_one_model(self, pipeline: Pipeline) -> None:
        """What other models answered is not written again at each attempt of the failed task."""
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
            assert "down:1 is down" in program.output
        sources = [record.source for record in pipeline.results()]
        assert len(sources) == len(set(sources)) < 600
        assert pipeline.dead_letters() == []

    def test_unloadable_model(self, pipeline: Pipeline) -> None:
        """A model that cannot be loaded is a wrong configuration: exit code 2."""
        pipeline.produce(message(1))
        with pipeline.program(pipeline.environment("Upper", options={"unknown": 1})) as program:
            assert program.wait() == 2, program.output
            assert "takes no arguments" in program.output

    def test_java_is_killed(self, pipeline: Pipeline) -> None:
        """A job whose Java is gone ends with one line that says so."""
        pipeline.produce(message(1))
        with pipeline.program(pipeline.environment("Upper")) as program:
            pipeline.wait_for_results(program)
            (java,) = [
                pid
                for pid, command in descendants(program.process.pid).items()
                if "org.apache.spark.deploy.SparkSubmit" in command
            ]
            os.kill(java, signal.SIGKILL)
            assert program.wait() == 1, program.output
            errors = [line for line in program.output.splitlines() if "[error" in line]
            assert len(errors) == 1, program.output
            assert "the Java process that runs Spark has ended" in errors[0]

    def test_missing_and_compacted_topics(
        self, pipeline: Pipeline, make_topic: Callable[..., str]
    ) -> None:
        """The job refuses topics that could lose a message; `check` says the same."""
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

    def test_check_of_a_good_configuration(self, pipeline: Pipeline) -> None:
        """`check` exits 0 where the job can run."""
        with pipeline.program(pipeline.environment("Upper"), "check") as program:
            assert program.wait() == 0, program.output
