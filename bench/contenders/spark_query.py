"""Shared by the contenders on Spark: the session, reading and writing Kafka, and stopping."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from pyspark.sql.functions import col, from_json

from bench.contenders.common import stop_on_sigterm
from tidemill.models.pool.launch import NO_BACKGROUND_THREADS
from tidemill.settings import Settings
from tidemill.spark import session

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

MESSAGE: Final = "uuid string, lang string, text string"
Writer = TypeVar("Writer", "DataFrameWriter", "DataStreamWriter")


@contextmanager
def running(args: argparse.Namespace) -> Iterator[SparkSession]:
    """Yield the session that the shipped job would have, but with Spark's own worker daemon.

    As for the job, `TIDEMILL__SPARK` in the environment adds Spark settings.
    """
    # The environment may name another Python for the workers.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = Settings(
        stream={"group_id": args.group},
        spark={"spark.python.daemon.module": "pyspark.daemon"},
    )
    with session.running(settings) as spark:
        for name in NO_BACKGROUND_THREADS:  # set for our workers only
            del spark.sparkContext.environment[name]
        yield spark


def messages(spark: SparkSession, args: argparse.Namespace) -> DataFrame:
    """Return a stream of messages: key, uuid, lang, text."""
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", args.bootstrap_servers)
        .option("subscribe", args.source)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", args.max_offsets)
        .option("groupIdPrefix", args.group)
        .load()
    )
    fields = from_json(col("value").cast("string"), MESSAGE).alias("fields")
    return records.select("key", fields).select("key", "fields.*")


def to_kafka(writer: Writer, args: argparse.Namespace) -> Writer:
    """Configure a writer of key and value for the target topic."""
    return (
        writer.format("kafka")
        .option("kafka.bootstrap.servers", args.bootstrap_servers)
        .option("topic", args.target)
    )


def write(answers: DataFrame, args: argparse.Namespace) -> StreamingQuery:
    """Start a query that writes key and value to the target topic."""
    return start(to_kafka(answers.writeStream, args), args)


def start(writer: DataStreamWriter, args: argparse.Namespace) -> StreamingQuery:
    """Start a query with its checkpoint in the contender's folder."""
    writer = writer.option("checkpointLocation", str(args.folder / "checkpoint"))
    return writer.trigger(processingTime="0 seconds").start()


def wait(query: StreamingQuery) -> None:
    """Let a query run until SIGTERM; raise its exception if it fails."""
    stopping = stop_on_sigterm()
    while not stopping.is_set():
        query.awaitTermination(1)
    query.stop()
