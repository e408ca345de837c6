"""Spark row by row, as demos do it: `udf`, `foreachBatch`, persist, count, JSON there and back.

After the demo that this project began with: a micro-batch is cached and counted, to choose how many
tasks it is worth; the answer to each text is JSON, which is read, made a row, and written as JSON.
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
FOUND: Final = f"{NER}, error_message string"
RESULT: Final = f"uuid string, lang string, {FOUND}"


def find(text: str) -> str:
    """Return a text's entities, or what went wrong, as JSON."""
    try:
        found = common.entities(common.load()(text))
    except Exception as error:  # noqa: BLE001 - as the demo does: it becomes an answer
        return json.dumps({"error_message": f"{type(error).__name__}: {error}"})
    return json.dumps({"ner": found, "error_message": None})


def result(found: Any, uuid: str, lang: str) -> dict[str, Any]:  # noqa: ANN401 - Spark reads hints
    """Return an answer as a row, from the row of what was found."""
    return {"uuid": uuid, "lang": lang, **found.asDict(recursive=True)}


def answer(asked: argparse.Namespace, messages: DataFrame, _: int) -> None:
    """Answer one micro-batch."""
    messages.persist(StorageLevel.MEMORY_AND_DISK)
    tasks = math.ceil(messages.count() / TASK_SIZE)
    # The demo sees to it otherwise that no core is idle: by how much a trigger reads.
    cores = messages.sparkSession.sparkContext.defaultParallelism
    answers = (
        messages.repartition(max(cores, tasks))
        .withColumn("found", from_json(udf(find, "string")("text"), FOUND))
        .select("key", udf(result, RESULT)("found", "uuid", "lang").alias("result"))
        .select("key", to_json(struct("result.*")).alias("value"))
    )
    spark_query.to_kafka(answers.write, asked).save()
    messages.unpersist()


def run(asked: argparse.Namespace) -> None:
    """Answer messages until SIGTERM."""
    with spark_query.running(asked) as spark:
        writer = spark_query.messages(spark, asked).writeStream.foreachBatch(partial(answer, asked))
        spark_query.wait(spark_query.start(writer, asked))


if __name__ == "__main__":
    run(common.parser(__doc__).parse_args())
