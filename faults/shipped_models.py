"""A job with the shipped models, and texts for it."""

from __future__ import annotations

import gzip
import json
import sys
from typing import TYPE_CHECKING

from dev import PYTHONPATH, ROOT
from dev.pipeline.pipeline import quick_spark

if TYPE_CHECKING:
    from dev.pipeline.pipeline import Pipeline

TEXTS = ROOT / "bench" / "texts.jsonl.gz"


def records(max_chars: int) -> list[dict[str, bytes]]:
    """Return messages with English texts of at most `max_chars` characters; the uuid is the key."""
    with gzip.open(TEXTS) as lines:
        messages = [(line.strip(), json.loads(line)) for line in lines]
    return [
        {"value": line, "key": fields["uuid"].encode()}
        for line, fields in messages
        if len(fields["text"]) <= max_chars
    ]


def environment(pipeline: Pipeline, mode: str, **settings: str) -> dict[str, str]:
    """Return the environment of a job with the shipped models, on two cores."""
    spark = quick_spark() | {"spark.master": "local[2,4]", "spark.driver.memory": "512m"}
    # Keep the optimising compiler: the speed matters here.
    del spark["spark.driver.extraJavaOptions"]
    return {
        **pipeline.environment(
            "Upper",
            MODELS=str(ROOT / "models.yaml"),
            STREAM__DELIVERY=mode,
            SPARK=json.dumps(spark),
            **settings,
        ),
        "PYTHONPATH": PYTHONPATH,
        "PYSPARK_PYTHON": sys.executable,
    }
