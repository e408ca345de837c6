"""List the contenders and how to start each."""

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
    """Another way to do the same job.

    Attributes:
        name: Its name in the report.
        script: Its file in this folder.
        about: One line about it, for the report.
        environment: The name of its environment (bench/environments); None for our own.
        processes: The number of processes that share its consumer group.
        options: Arguments in addition to those that all contenders take.
        windows: The factor on the measured time; larger if results come in large batches.

    """

    name: str
    script: str
    about: str
    environment: str | None = None
    processes: int = 1
    options: tuple[str, ...] = ()
    windows: int = 1

    def command(self) -> list[str]:
        """Return the command of one process, to which the arguments of `common.parser` are added.

        Create its environment first, if that is missing.

        Raises:
            NotInstalled: The environment cannot be created.

        """
        python = str(python_of(self.environment)) if self.environment else sys.executable
        return [python, str(FOLDER / self.script), *self.options]


CONTENDERS: Final = (
    Contender(
        "kafka-python, nlp",
        "kafka_python_loop.py",
        "a consumer loop per core, nlp(text) for each text",
        processes=CORES,
    ),
    Contender(
        "kafka-python, nlp.pipe",
        "kafka_python_loop.py",
        "a consumer loop per core, nlp.pipe for each batch",
        processes=CORES,
        options=("--pipe",),
    ),
    Contender(
        "confluent-kafka, nlp",
        "confluent_loop.py",
        "a consumer loop per core, nlp(text) for each text",
        processes=CORES,
    ),
    Contender(
        "confluent-kafka, nlp.pipe",
        "confluent_loop.py",
        "a consumer loop per core, nlp.pipe for each batch",
        processes=CORES,
        options=("--pipe",),
    ),
    Contender(
        "Spark, udf",
        "row_udf.py",
        "row by row in foreachBatch: persist, count, JSON parsed twice",
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
        "batches of pyspark.ml and nlp.pipe, in a streaming query",
    ),
    Contender(
        "Quix Streams",
        "quix.py",
        "an application per core, nlp(text) for each text",
        environment="quix",
        processes=CORES,
    ),
    Contender(
        "Bytewax",
        "bytewax_flow.py",
        "a cluster with a process per core, nlp.pipe in flat_map_batch",
        environment="bytewax",
        options=("--processes", str(CORES)),
    ),
)
