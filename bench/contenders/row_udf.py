"""Spark row by row, as demos do it: `udf`, `foreachBatch`, persist, count, JSON parsed twice.

It follows the demo that this project began with. A micro-batch is cached and counted to choose the
number of tasks. A UDF returns JSON, which is parsed, made a row, and written as JSON again.
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pyspark import StorageLevel
from pyspark.sql.functions import from_json, struct, to_json, udf

from bench.contenders import common, spark_query

if TYPE_CHECKING:
    import argparse

    from pyspark.sql import DataFrame

TASK_SIZE: Final = 1024  # messages
NER: Final = "ner array<struct<entity string, category string, start int, end int>>"
OUTPUT: Final = f"{NER}, error_message string"
RESULT: Final = f"uuid string, lang string, {OUTPUT}"


def find(text: str) -> str:
    """Return a text's entities, or an error message, as JSON."""
    try:
        entities = common.entities(common.load()(text))
    except Exception as error:  # noqa: BLE001 - as in the demo: an error is an answer
        return json.dumps({"error_message": f"{type(error).__name__}: {error}"})
    return json.dumps({"ner": entities, "error_message": None})


def result(output: Any, uuid: str, lang: str) -> dict[str, Any]:  # noqa: ANN401 - Spark reads hints
    """Return an answer as a row, from the parsed output of `find`."""
    return {"uuid": uuid, "lang": lang, **output.asDict(recursive=True)}


def answer(args: argparse.Namespace, messages: DataFrame, _: int) -> None:
    """Answer one micro-batch."""
    messages.persist(StorageLevel.MEMORY_AND_DISK)
    tasks = math.ceil(messages.count() / TASK_SIZE)
    # At least one task per core; the demo ensures that by the size of a micro-batch.
    cores = messages.sparkSession.sparkContext.defaultParallelism
    answers = (
        messages.repartition(max(cores, tasks))
        .withColumn("output", from_json(udf(find, "string")("text"), OUTPUT))
        .select("key", udf(result, RESULT)("output", "uuid", "lang").alias("result"))
        .select("key", to_json(struct("result.*")).alias("value"))
    )
    spark_query.to_kafka(answers.write, args).save()
    messages.unpersist()


def run(args: argparse.Namespace) -> None:
    """Answer messages until SIGTERM."""
    with spark_query.running(args) as spark:
        writer = spark_query.messages(spark, args).writeStream.foreachBatch(partial(answer, args))
        spark_query.wait(spark_query.start(writer, args))


if __name__ == "__main__":
    run(common.parser(__doc__).parse_args())
