"""The job that the campaign kills, and its model."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pyspark
import yaml

from dev import PYTHONPATH
from dev.pipeline.job_process import kill
from dev.pipeline.pipeline import quick_spark
from faults.failpoints import HOOK, Failpoints
from faults.job_processes import find, kill_orphans, with_variable
from tidemill.inference.route import all_specs
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.model import ModelSpec

MAX_ATTEMPTS = "12"  # so that a query survives several kills of one task
ENGINES = {
    "local": {"spark.master": f"local[2,{MAX_ATTEMPTS}]"},
    "cluster": {
        "spark.master": "local-cluster[2,1,1024]",
        "spark.task.maxFailures": MAX_ATTEMPTS,
        "spark.deploy.maxExecutorRetries": "-1",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    },
}
MODEL: dict[str, Any] = {
    "name": "cheap",
    "version": "1",
    "adapter": "faults.cheap_model:Cheap",
    "options": {"seconds": 0.001},
    "match": {"lang": "en"},
    "payload": "text",
    "result": "answer",
    "sample": "a sample",
    "limits": {"chars": 1000},
}
STOP_TIMEOUT_S = 180
# A job's last processes end when they notice that the others have ended.
ORPHAN_TIMEOUT_S = 60.0


class CampaignJob:
    """A job on a pipeline that is started again each time it is killed."""

    def __init__(self, pipeline: Pipeline, mode: str, engine: str) -> None:
        """Prepare the job's environment; `start` starts the job."""
        self.pipeline = pipeline
        self.checkpoint = pipeline.folder / "checkpoint"
        self.failpoints = Failpoints(pipeline.folder / "failpoints")
        # What happened to the job, apart from the kills.
        self.unexpected: list[str] = []
        models = pipeline.folder / "cheap.yaml"
        models.write_text(yaml.safe_dump({"models": [MODEL]}))
        self._environment = {
            **pipeline.environment(
                "Upper",
                MODELS=str(models),
                STREAM__DELIVERY=mode,
                STREAM__ARROW_BATCH_SIZE="10",
                STREAM__MAX_OFFSETS_PER_TRIGGER="240",
                SPARK=json.dumps(quick_spark() | ENGINES[engine]),
            ),
            **self.failpoints.environment(self.checkpoint),
            "PYTHONPATH": f"{HOOK}:{PYTHONPATH}",
            "PYSPARK_PYTHON": sys.executable,
        }
        if engine == "cluster":  # its executors write into Spark's home
            self._environment["SPARK_HOME"] = str(spark_home(pipeline.folder / "spark"))
        self._process: JobProcess | None = None

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """The job's models for an offline run, in which they answer at once."""
        specs = all_specs(catalogue.load_models(Path(self._environment["TIDEMILL__MODELS"])))
        return tuple(msgspec.structs.replace(spec, options={}) for spec in specs)

    @property
    def process(self) -> JobProcess:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start the job."""
        self._process = self.pipeline.program(self._environment)

    def pids(self, target: str, hit: int | None = None) -> list[int]:
        """Return the processes to kill for a target (`job_processes.find`)."""
        return find(self.process.process.pid, target, hit)

    def restart_if_ended(self) -> None:
        """Restart a job that ended by itself, and note its last line of output."""
        if (code := self.process.process.poll()) is not None:
            (*_, last) = self.process.output.splitlines() or [""]
            self.unexpected.append(f"exit code {code}: {last}")
            self.start()

    def wait_until_ended(self, timeout: float = 120.0) -> None:
        """Wait until the driver of a killed job ends; kill it if it does not."""
        deadline = time.monotonic() + timeout
        while self.process.process.poll() is None:
            if time.monotonic() > deadline:
                self.unexpected.append(f"the driver still ran {timeout:g} s after its JVM")
                self.process.process.kill()
            time.sleep(0.01)

    def running(self) -> list[int]:
        """Return the running processes of all jobs that were started here."""
        return with_variable("FAULTS_FAILPOINTS", str(self.failpoints.folder))

    def end_orphans(self, pids: Iterable[int]) -> None:
        """Wait until processes of an ended job end; kill those that do not, and note it."""
        if orphans := kill_orphans(pids, ORPHAN_TIMEOUT_S):
            self.unexpected.append(f"processes outlived their job: {orphans}")

    def stop(self) -> int:
        """Stop the job with SIGTERM; return its exit code."""
        self.process.process.terminate()
        code = self.process.wait(STOP_TIMEOUT_S)
        self.end_orphans(self.running())
        return code

    def __enter__(self) -> Self:
        """Start the job."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all processes that are still running."""
        kill(self.running())
        self.process.process.wait()


def spark_home(folder: Path) -> Path:
    """Return a Spark home that links to the installed one and can be written to."""
    folder.mkdir(exist_ok=True)
    for entry in Path(pyspark.__file__).parent.iterdir():
        if not (link := folder / entry.name).exists() and entry.name != "work":
            link.symlink_to(entry)
    return folder
