"""What the contenders on Spark share: our job's own session, Kafka in, Kafka out, and the end."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql.functions import col, from_json

from bench.contenders.common import stop_on_sigterm
from tidemill.settings import Settings
from tidemill.spark import session
from tidemill.spark.conf import SINGLE_THREADED_ARROW

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

MESSAGE: Final = "uuid string, lang string, text string"


@contextmanager
def running(asked: argparse.Namespace) -> Iterator[SparkSession]:
    """Yield the session that the shipped job would have here, yet with Spark's own daemon.

    As for the job, `TIDEMILL__SPARK` in the environment adds settings of Spark's.
    """
    # The workers' Python, which a caller may have named for another environment.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = Settings(
        stream={"group_id": asked.group},
        # Ours loads the models of models.yaml.
        spark={"spark.python.daemon.module": "pyspark.daemon"},
    )
    with session.running(settings) as spark:
        for name in SINGLE_THREADED_ARROW:  # nor are workers told what ours are
            del spark.sparkContext.environment[name]
        yield spark


def messages(spark: SparkSession, asked: argparse.Namespace) -> DataFrame:
    """Return the stream of messages: key, uuid, lang, text."""
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", asked.bootstrap_servers)
        .option("subscribe", asked.source)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", asked.max_offsets)
        .option("groupIdPrefix", asked.group)
        .load()
    )
    fields = from_json(col("value").cast("string"), MESSAGE).alias("fields")
    return records.select("key", fields).select("key", "fields.*")


def to_kafka(writer: Any, asked: argparse.Namespace) -> Any:  # noqa: ANN401 - of a batch or a stream
    """Let a writer of key and value write to the target topic."""
    return (
        writer.format("kafka")
        .option("kafka.bootstrap.servers", asked.bootstrap_servers)
        .option("topic", asked.target)
    )


def write(answers: DataFrame, asked: argparse.Namespace) -> StreamingQuery:
    """Start the query that writes key and value to the target topic."""
    return start(to_kafka(answers.writeStream, asked), asked)


def start(writer: Any, asked: argparse.Namespace) -> StreamingQuery:  # noqa: ANN401 - as it comes
    """Start a query, its checkpoint in the contender's folder."""
    kept = writer.option("checkpointLocation", str(asked.folder / "checkpoint"))
    return kept.trigger(processingTime="0 seconds").start()


def wait(query: StreamingQuery) -> None:
    """Let a query run until SIGTERM, and raise what it fails of."""
    stopping = stop_on_sigterm()
    while not stopping.is_set():
        query.awaitTermination(1)
    query.stop()
