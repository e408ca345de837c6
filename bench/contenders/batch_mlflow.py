"""MLflow's `spark_udf` in a batch query of Spark on all cores.

`python -m bench.contenders.batch_mlflow MODEL SOURCE TARGET FORMAT`
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow reads it at import

import mlflow
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, Schema
from pyspark.sql import SparkSession
from pyspark.sql.functions import struct

from bench.contenders import batch_model

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.pyfunc.model import PythonModelContext


class Answers(PythonModel):
    """Answer a frame of texts with the JSON of the model."""

    def __init__(self, name: str, began: str) -> None:
        """Take the name of the model, and a file that the first call creates."""
        self._name = name
        self._began = began

    def load_context(self, context: PythonModelContext) -> None:  # noqa: ARG002 - MLflow's signature
        """Load the model, which MLflow does in each Python process."""
        self._model = batch_model.load(self._name)

    def predict(  # MLflow's signature
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> list[str]:
        """Return the answers."""
        with suppress(FileExistsError):
            Path(self._began).touch(exist_ok=False)
        return self._model.predict_all(model_input["text"].tolist())


def main() -> None:
    """Answer all rows, in as many tasks as there are cores."""
    name, source, target, kind = sys.argv[1:]
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master("local[*]").config("spark.ui.enabled", "false").getOrCreate()
    )
    with TemporaryDirectory() as folder:
        began = Path(folder, "began")
        mlflow.pyfunc.save_model(
            f"{folder}/model",
            python_model=Answers(name, str(began)),
            signature=ModelSignature(
                Schema([ColSpec(DataType.string, "text")]), Schema([ColSpec(DataType.string)])
            ),
            pip_requirements=[],  # otherwise MLflow infers them, for a minute
        )
        answer = mlflow.pyfunc.spark_udf(
            spark, f"{folder}/model", result_type="string", env_manager="local"
        )
        rows = spark.read.schema("uuid string, lang string, text string").format(kind).load(source)
        answered = rows.repartition(os.cpu_count() or 1).withColumn("out", answer(struct("text")))
        answered.write.format(kind).save(target)
        batch_model.done(began.stat().st_mtime)
    spark.stop()


if __name__ == "__main__":
    main()
