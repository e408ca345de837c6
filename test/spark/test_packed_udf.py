"""Packed models run in `mlflow.pyfunc.spark_udf`, whose batches split the rows of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pandas as pd
from prophet_models import fit
from pyspark.sql import functions as f

from tidemill.packing import frames, pyfunc
from tidemill.packing.models import PackedModels
from tidemill.packing.pack import pack
from tidemill.packing.queries import Options

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

ROWS = 50


def test_spark_udf(spark: SparkSession, tmp_path: Path) -> None:
    """Each row has its own forecast, or its own error, in batches of seven rows."""
    fitted = {f"store-{n}": fit(12 * n, growth="linear", freq="W", holidays="none", regressors=0)
              for n in range(3)}  # fmt: skip
    pack(tmp_path / "artifact", {key: each.model for key, each in fitted.items()})
    pyfunc.save(tmp_path / "model", tmp_path / "artifact")
    asked = pd.concat(
        [each.future(1, ROWS).assign(model_key=key) for key, each in fitted.items()],
        ignore_index=True,
    ).sample(frac=1, random_state=1, ignore_index=True)
    asked.loc[10, "model_key"] = "none"
    asked["ds"] = asked["ds"].astype(str)
    forecast = mlflow.pyfunc.spark_udf(
        spark,
        str(tmp_path / "model"),
        result_type="yhat double, error string",
        env_manager="local",
    )
    size = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(size)
    spark.conf.set(size, "7")
    try:
        frame = spark.createDataFrame(asked.assign(row=range(len(asked)))).repartition(2)
        answers = forecast(f.struct("model_key", "ds"))
        found = frame.withColumn("found", answers).select("row", "found.*").toPandas()
    finally:
        spark.conf.set(size, before or "10000")
    found = pd.DataFrame(found).set_index("row").sort_index()
    wanted = frames.predict(PackedModels.open(tmp_path / "artifact"), asked, Options())
    assert len(found) == 3 * ROWS
    # How BLAS rounds the last bit depends on how many dates it gets at a time.
    np.testing.assert_allclose(found["yhat"], wanted["yhat"], rtol=1e-14)
    assert found["error"][found["error"] != ""].to_dict() == {
        10: "there is no model with the key 'none'"
    }
