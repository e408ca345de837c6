"""Report the loads of models from real workers to the driver."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from specs import make_spec

from tidemill.inference.route import single_routes
from tidemill.settings import PoolSettings
from tidemill.spark import model_usage
from tidemill.spark.udfs import predictions

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

MIB = 2**20


def test_reported(spark: SparkSession, tmp_path: Path) -> None:
    """The driver learns of loads and memory, while a query runs again and again."""
    options = {"log": str(tmp_path / "log"), "size": 8 * MIB}
    specs = [
        make_spec(
            name=name,
            adapter="sized_models:Sized",
            options=options,
            match={"lang": name},
            payload="text",
        )
        for name in "ab"
    ]
    usage = model_usage.accumulator(spark)
    pool = PoolSettings(processes=1, preload=("a",))
    transform = predictions(
        single_routes(specs), results="good", dead_letters="bad", pool=pool, usage=usage
    )
    reported = []
    for lang in "aab":
        value = json.dumps({"lang": lang, "text": "t", "uuid": "1"}).encode()
        frame = spark.createDataFrame([(value,)] * 2, "value binary")
        assert {row.topic for row in frame.transform(transform).collect()} == {"good"}
        reported.append(model_usage.totals(usage.value))
    assert [{*each} for each in reported] == [{"a:1"}, {"a:1"}, {"a:1", "b:1"}]
    for found in reported:
        assert found["a:1"].loads == 1
        for each in found.values():
            assert each.evictions == 0
            assert abs(each.bytes - each.loads * 8 * MIB) < MIB
            assert each.seconds > 0
