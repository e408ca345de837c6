"""The contenders, and how each is started."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.environments.environments import python_of

FOLDER: Final = Path(__file__).parent
CORES: Final = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Contender:
    """Something else that does the job.

    Attributes:
        script: Its file in this folder.
        about: What it is, in a line.
        environment: The name of its environment (bench/environments), None for our own.
        processes: How many of it are started, to answer together in one group.
        options: What its command line has beside the arguments that all take.
        windows: For how many times as long it is measured: more where many results come at once.

    """

    name: str
    script: str
    about: str
    environment: str | None = None
    processes: int = 1
    options: tuple[str, ...] = ()
    windows: int = 1

    def command(self) -> list[str]:
        """Return how one of its processes is started; `common.parser` has the arguments to add.

        Makes its environment first, where it has one that is not there.

        Raises:
            NotInstalled: That cannot be made.

        """
        python = str(python_of(self.environment)) if self.environment else sys.executable
        return [python, str(FOLDER / self.script), *self.options]


CONTENDERS: Final = (
    Contender(
        "kafka-python, nlp",
        "kafka_python_loop.py",
        "a consumer loop for each core, a call of nlp(text) for each text",
        processes=CORES,
    ),
    Contender(
        "kafka-python, nlp.pipe",
        "kafka_python_loop.py",
        "a consumer loop for each core, a call of nlp.pipe for each batch",
        processes=CORES,
        options=("--pipe",),
    ),
    Contender(
        "confluent-kafka, nlp",
        "confluent_loop.py",
        "a consumer loop for each core, a call of nlp(text) for each text",
        processes=CORES,
    ),
    Contender(
        "confluent-kafka, nlp.pipe",
        "confluent_loop.py",
        "a consumer loop for each core, a call of nlp.pipe for each batch",
        processes=CORES,
        options=("--pipe",),
    ),
    Contender(
        "Spark, udf",
        "row_udf.py",
        "row by row in foreachBatch: persist, count, JSON there and back",
        windows=2,
    ),
    Contender(
        "Spark, mlflow.pyfunc.spark_udf",
        "mlflow_udf.py",
        "a pyfunc model around nlp.pipe, in a streaming query",
        environment="mlflow",
    ),
    Contender(
        "Spark, predict_batch_udf",
        "predict_batch.py",
        "pyspark.ml's batches and nlp.pipe, in a streaming query",
    ),
    Contender(
        "Quix Streams",
        "quix.py",
        "an application for each core, a call of nlp(text) for each text",
        environment="quix",
        processes=CORES,
    ),
    Contender(
        "Bytewax",
        "bytewax_flow.py",
        "a cluster of a process for each core, nlp.pipe by flat_map_batch",
        environment="bytewax",
        options=("--processes", str(CORES)),
    ),
)
