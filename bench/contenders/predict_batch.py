"""Spark's own `predict_batch_udf`, in a streaming query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql.types import StringType

from bench.contenders import common, spark_query

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def make_predict() -> Callable[..., np.ndarray]:
    """Load the pipe; return a function that answers arrays of uuids, languages and texts."""
    nlp = common.load()

    def predict(uuids: np.ndarray, langs: np.ndarray, texts: np.ndarray) -> np.ndarray:
        messages = zip(uuids, langs, nlp.pipe(texts), strict=True)
        return np.array([common.encode(*message).decode() for message in messages], dtype=object)

    return predict


def run(args: argparse.Namespace) -> None:
    """Answer messages until SIGTERM."""
    ner = predict_batch_udf(make_predict, return_type=StringType(), batch_size=common.BATCH)
    with spark_query.running(args) as spark:
        answers = spark_query.messages(spark, args).select(
            "key", ner("uuid", "lang", "text").alias("value")
        )
        spark_query.wait(spark_query.write(answers, args))


if __name__ == "__main__":
    run(common.parser(__doc__).parse_args())
