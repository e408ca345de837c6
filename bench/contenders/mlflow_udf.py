"""MLflow's `spark_udf` over a pyfunc model that wraps the pipe, in a streaming query."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow reads it at import

import mlflow
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, Schema
from pyspark.sql.functions import struct

from bench.contenders import common, spark_query

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    import pandas as pd
    from mlflow.pyfunc.model import PythonModelContext

FIELDS = ("uuid", "lang", "text")


class Ner(PythonModel):
    """Answer a frame of messages with a JSON text per row."""

    def load_context(self, context: PythonModelContext) -> None:  # noqa: ARG002 - MLflow's signature
        """Use the process's pipe.

        In local mode MLflow loads a model for each task; on a cluster it keeps it in the process.
        """
        self.nlp = common.load()

    def predict(  # MLflow's signature
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> list[str]:
        """Return the answers."""
        docs = self.nlp.pipe(model_input["text"])
        messages = zip(model_input["uuid"], model_input["lang"], docs, strict=True)
        return [common.encode(*message).decode() for message in messages]


def save(model: Path) -> None:
    """Save the model in MLflow's format, unless an earlier run has done so."""
    if model.exists():
        return
    columns = Schema([ColSpec(DataType.string, name) for name in FIELDS])
    mlflow.pyfunc.save_model(
        str(model),
        python_model=Ner(),
        signature=ModelSignature(columns, Schema([ColSpec(DataType.string)])),
        pip_requirements=[],  # otherwise MLflow infers them, for a minute
    )


def run(args: argparse.Namespace) -> None:
    """Answer messages until SIGTERM."""
    model = args.folder / "model"
    save(model)
    with spark_query.running(args) as spark:
        ner = mlflow.pyfunc.spark_udf(spark, str(model), result_type="string", env_manager="local")
        answers = spark_query.messages(spark, args).select(
            "key", ner(struct(*FIELDS)).alias("value")
        )
        spark_query.wait(spark_query.write(answers, args))


if __name__ == "__main__":
    run(common.parser(__doc__).parse_args())
