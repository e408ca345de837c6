"""The streaming job: source, transform, sink."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tidemill.errors import SpeculationEnabled
from tidemill.kafka.record_size import batch_bytes
from tidemill.models.isolation import policy
from tidemill.spark.udfs import predictions
from tidemill.streaming import sink, source
from tidemill.streaming.exactly_once.producer import BATCH_BYTES
from tidemill.streaming.observe import observed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from tidemill.inference.model import ModelLoader, ModelSpec
    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.streaming.startup import QueryStart


def check(spark: SparkSession, stream: StreamSettings) -> None:
    """Check Spark's configuration, before the job takes over any partition.

    Raises:
        SpeculationEnabled: Delivery is exactly-once, and Spark would run a task twice at a time.

    """
    speculates = str(spark.sparkContext.getConf().get("spark.speculation")).lower() == "true"
    if stream.delivery == "exactly-once" and speculates:
        raise SpeculationEnabled


def loader(stream: StreamSettings) -> ModelLoader:
    """Return the function that loads a model in a worker.

    With exactly-once the worker runs the threads of Kafka's client.
    """
    return policy.loader(starts_threads=stream.delivery == "exactly-once")


def start(
    spark: SparkSession,
    kafka: KafkaSettings,
    stream: StreamSettings,
    specs: Sequence[ModelSpec],
    query_start: QueryStart,
    *,
    limits: Mapping[str, TopicLimits],
) -> StreamingQuery:
    """Start the query, which writes one result or one dead letter for every record.

    `limits` maps the names of the output topics to what they accept.
    """
    deliver = query_start.deliver and replace(
        query_start.deliver, batch_bytes=batch_bytes(limits.values(), BATCH_BYTES)
    )
    records = source.records(spark, kafka, stream, query_start.offsets)
    outcomes = records.transform(
        predictions(
            specs,
            results=stream.output_topic,
            dead_letters=stream.dead_letter_topic,
            limits=limits,
            load=loader(stream),
            deliver=deliver,
        )
    ).transform(observed)
    if deliver is None:
        return sink.write(outcomes, kafka, stream, limits)
    return sink.discard(outcomes, stream)
