"""Run the job as a test needs it: in this process on what is there, or as a program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from app.settings import KafkaSettings, StreamSettings
from app.streaming import job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import SparkSession

    from app.inference.model import ModelSpec

ROOT = Path(__file__).parents[2]


def answer_all(
    spark: SparkSession,
    specs: Sequence[ModelSpec],
    servers: str,
    topics: tuple[str, str, str],
    checkpoint: Path,
    **options: Any,  # noqa: ANN401 - settings of the kafka and the stream section
) -> dict[str, Any]:
    """Run the query until everything that lies in the input topic is answered."""
    source, results, dead_letters = topics
    of_kafka = {
        name: options.pop(name) for name in list(options) if name in KafkaSettings.model_fields
    }
    stream = StreamSettings(
        input_topics=[source],
        output_topic=results,
        dead_letter_topic=dead_letters,
        checkpoint_location=str(checkpoint),
        trigger="available-now",
        **options,
    )
    query = job.start(spark, KafkaSettings(bootstrap_servers=servers, **of_kafka), stream, specs)
    try:
        assert query.awaitTermination(240), "the query did not end"
    finally:
        query.stop()
    progress = query.lastProgress
    assert progress is not None
    return dict(progress)


class Program:
    """`python -m app COMMAND`, or another launcher, as a process, its output in a file."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *command: str,
        launcher: Sequence[str] = (sys.executable, "-m", "app"),
    ) -> None:
        """Start it, in a process session of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{Path(command[0]).name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*launcher, *command],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{ROOT}:{os.environ['PYTHONPATH']}",
                    **environment,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self.log.read_text()

    def wait_for(self, text: str, timeout: float = 120) -> None:
        """Wait until it says something."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            assert self.process.poll() is None, f"ended early:\n{self.output}"
            assert time.monotonic() < deadline, f"never said {text!r}:\n{self.output}"
            time.sleep(0.1)

    def wait(self, timeout: float = 120) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(timeout)

    def __enter__(self) -> Self:
        """Return the running program."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it where it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def environment(
    servers: str, topics: tuple[str, str, str], models: Path, checkpoint: Path, **more: str
) -> dict[str, str]:
    """Return the environment of a job on these topics."""
    source, results, dead_letters = topics
    return {
        "TIDEMILL__KAFKA__BOOTSTRAP_SERVERS": servers,
        "TIDEMILL__STREAM__INPUT_TOPICS": f'["{source}"]',
        "TIDEMILL__STREAM__OUTPUT_TOPIC": results,
        "TIDEMILL__STREAM__DEAD_LETTER_TOPIC": dead_letters,
        "TIDEMILL__STREAM__GROUP_ID": source,
        "TIDEMILL__STREAM__CHECKPOINT_LOCATION": str(checkpoint),
        "TIDEMILL__MODELS": str(models),
        "TIDEMILL__SPARK": '{"spark.master": "local[2,2]", "spark.ui.enabled": "false"}',
        **more,
    }
