"""The job on a real standalone cluster of Spark, by spark-submit."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev import ROOT
from dev.kafka.ports import free_ports
from dev.kafka.process import spawn, stop, wait_for_line
from dev.pipeline.job_process import JobProcess
from dev.pipeline.pipeline import message
from tidemill.spark.jars import connector_jars
from tidemill.spark.java import spark_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.pipeline.pipeline import Pipeline

MODELS = ROOT / "test" / "doubles" / "example_models.py"
PATIENCE_S = 400.0
TWO_EXECUTORS = {
    "spark.ui.enabled": "false",
    "spark.executor.memory": "1g",
    "spark.executor.cores": "1",
    "spark.cores.max": "2",
    "spark.scheduler.minRegisteredResourcesRatio": "1",  # both are there before the first task
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s",
}


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a master with one worker, whose executors have no module of ours on their path."""
    folder = tmp_path_factory.mktemp("cluster")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"SPARK_HOME": str(spark_home()), "SPARK_LOCAL_IP": "127.0.0.1"}
    port, masters_page, workers_page = free_ports(3)
    url = f"spark://127.0.0.1:{port}"
    here = ["--host", "127.0.0.1", "--webui-port"]
    parts = {
        "master.Master": (
            "I have been elected leader",
            [*here, str(masters_page), "-p", str(port)],
        ),
        "worker.Worker": (
            "Successfully registered with master",
            [*here, str(workers_page), "-c", "2", "-m", "2g", "-d", str(folder / "work"), url],
        ),
    }
    with ExitStack() as running:
        for name, (ready, arguments) in parts.items():
            command = [str(spark_home() / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
            log = folder / f"{name}.log"
            process = spawn([*command, *arguments], log, cwd=folder, env=environment)
            running.callback(stop, process, 10)
            wait_for_line(process, log, ready, name=name, timeout=PATIENCE_S)
        yield url


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the packages that Tidemill needs, and without Tidemill."""
    script = tmp_path_factory.mktemp("python") / "python"
    packages = sysconfig.get_path("purelib")  # on the path no .pth file counts
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH="{packages}${{PYTHONPATH:+:$PYTHONPATH}}" '
        f'exec "{sys.executable}" -S "$@"\n'
    )
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Tidemill in a zip file, as README.md makes it."""
    return shutil.make_archive(
        str(tmp_path_factory.mktemp("zip") / "tidemill"), "zip", ROOT / "app", "tidemill"
    )


class Submit:
    """Submits the job, which has two executors, answers what is there and ends."""

    def __init__(self, pipeline: Pipeline, master: str, python: Path) -> None:
        self.pipeline = pipeline
        self.master = master
        self.log = pipeline.folder / "loaded"
        self.environment = pipeline.environment(
            "RecordingModel",
            options={"log": str(self.log)},
            SPARK=json.dumps(TWO_EXECUTORS),
            STREAM__TRIGGER="available-now",
        )
        self.environment |= {
            "PYSPARK_PYTHON": str(python),
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def __call__(self, *files: str) -> tuple[int, str]:
        """Send files along; return the exit code and the output."""
        launcher = [
            str(Path(sys.executable).with_name("spark-submit")),
            *("--master", self.master),
            *("--conf", "spark.python.unix.domain.socket.enabled=true"),
            *("--jars", ",".join(map(str, connector_jars()))),
            *(("--py-files", ",".join(files)) if files else ()),
        ]
        script = str(ROOT / "app" / "run.py")
        with JobProcess(
            self.pipeline.folder, self.environment, script, launcher=launcher
        ) as program:
            return program.wait(PATIENCE_S), program.output


@pytest.fixture
def submit(pipeline: Pipeline, master: str, python: Path) -> Submit:
    """What submits the job."""
    return Submit(pipeline, master, python)


@pytest.mark.timeout(900)  # on a busy machine each start of a Java takes its time
class TestModules:
    """Executors get the modules by --py-files; one that they lack is named."""

    @pytest.mark.parametrize(
        "missing", [pytest.param("tidemill", marks=pytest.mark.slow), "example_models"]
    )
    def test_missing(self, missing: str, submit: Submit, archive: str) -> None:
        """At the first attempt, as a wrong configuration, in one line among few."""
        code, output = submit(*([archive] if missing == "example_models" else []))
        assert code == 2, output
        errors = [line for line in output.splitlines() if "[error" in line]
        assert len(errors) == 1, output
        assert f"the Python module {missing} is missing on Spark's executors (" in errors[0]
        assert "TaskSetManager" not in output
        assert output.count(" INFO ") <= 3, output  # which come before a level can be set

    @pytest.mark.slow
    def test_sent(self, pipeline: Pipeline, submit: Submit, archive: str) -> None:
        """Every message is answered, and each executor has a pool, which loads the models once."""
        pipeline.produce(*map(message, range(5)))
        code, output = submit(archive, str(MODELS))
        assert code == 0, output
        assert len(pipeline.results()) == 5
        assert len(submit.log.read_text().split()) == 2
