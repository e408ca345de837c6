"""The job that is struck, and the model that it runs."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec
import pyspark
import yaml

from dev import PYTHONPATH
from dev.pipeline.job_process import kill
from dev.pipeline.pipeline import QUICK_SPARK
from faults.failpoints import HOOK, Orders
from faults.victims import find, marked
from tidemill.models import catalogue

if TYPE_CHECKING:
    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.model import ModelSpec

MANY_ATTEMPTS = "12"  # a task that is struck again and again does not end the query
ENGINES = {
    "local": {"spark.master": f"local[2,{MANY_ATTEMPTS}]"},
    "cluster": {
        "spark.master": "local-cluster[2,1,1024]",
        "spark.task.maxFailures": MANY_ATTEMPTS,
        "spark.deploy.maxExecutorRetries": "-1",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    },
}
MODEL = {
    "name": "cheap",
    "version": "1",
    "adapter": "faults.cheap_model:Cheap",
    "options": {"seconds": 0.001},
    "match": {"lang": "en"},
    "payload": "text",
    "result": "answer",
    "sample": "a sample",
    "max_chars": 1000,
}
STOP_PATIENCE_S = 180


class Target:
    """The job on a pipeline, started anew as often as it is killed."""

    def __init__(self, pipeline: Pipeline, mode: str, engine: str) -> None:
        """Write down its settings; `start` starts it."""
        self.pipeline = pipeline
        self.checkpoint = pipeline.folder / "checkpoint"
        self.orders = Orders(pipeline.folder / "orders")
        self.ended: list[str] = []
        models = pipeline.folder / "cheap.yaml"
        models.write_text(yaml.safe_dump({"models": [MODEL]}))
        self._environment = {
            **pipeline.environment(
                "Upper",
                MODELS=str(models),
                STREAM__DELIVERY=mode,
                STREAM__ARROW_BATCH_SIZE="10",
                STREAM__MAX_OFFSETS_PER_TRIGGER="240",
                SPARK=json.dumps(QUICK_SPARK | ENGINES[engine]),
            ),
            **self.orders.environment(self.checkpoint),
            "PYTHONPATH": f"{HOOK}:{PYTHONPATH}",
            "PYSPARK_PYTHON": sys.executable,
        }
        if engine == "cluster":  # whose executors work in a folder of Spark's own
            self._environment["SPARK_HOME"] = str(spark_home(pipeline.folder / "spark"))
        self._program: JobProcess | None = None

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """The job's models, for an offline run: they answer at once."""
        read = catalogue.load_models(Path(self._environment["TIDEMILL__MODELS"]))
        return tuple(msgspec.structs.replace(spec, options={}) for spec in read)

    @property
    def program(self) -> JobProcess:
        """The job as it runs, or ran last."""
        assert self._program is not None
        return self._program

    def start(self) -> None:
        """Start the job."""
        self._program = self.pipeline.program(self._environment)

    def pids(self, victim: str, worker: int | None = None) -> list[int]:
        """Return the processes that a kill of `victim` ends (`victims.find`)."""
        return find(self.program.process.pid, victim, worker)

    def keep_up(self) -> None:
        """Start the job again where it has ended by itself, and note what it said."""
        if (code := self.program.process.poll()) is not None:
            (*_, last) = self.program.output.splitlines() or [""]
            self.ended.append(f"exit code {code}: {last}")
            self.start()

    def bury(self, patience: float = 30.0) -> None:
        """Wait for the end of a job that was killed, in part; kill the driver that goes on."""
        deadline = time.monotonic() + patience
        while self.program.process.poll() is None:
            if time.monotonic() > deadline:
                self.ended.append(f"the driver outlived its Java for {patience:g} s")
                self.program.process.kill()
            time.sleep(0.01)

    def left(self) -> list[int]:
        """Return what lives of all jobs that were started here."""
        return marked("FAULTS_ORDERS", str(self.orders.folder))

    def stop(self) -> int:
        """End the job in order; return its exit code."""
        self.program.process.terminate()
        return self.program.wait(STOP_PATIENCE_S)

    def __enter__(self) -> Self:
        """Start the job."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left of all of them."""
        kill(self.left())
        self.program.process.wait()


def spark_home(folder: Path) -> Path:
    """Return a Spark home that is another's but for what is written into it."""
    folder.mkdir(exist_ok=True)
    for entry in Path(pyspark.__file__).parent.iterdir():
        if not (link := folder / entry.name).exists() and entry.name != "work":
            link.symlink_to(entry)
    return folder
