"""The streaming job: source, transform, sink."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tidemill.errors import SpeculationEnabled
from tidemill.kafka.record_size import batch_bytes
from tidemill.models import catalogue
from tidemill.models.isolation import fork
from tidemill.spark.udfs import predictions
from tidemill.streaming import sink, source
from tidemill.streaming.exactly_once.delivery import BATCH_BYTES
from tidemill.streaming.observe import observed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from tidemill.inference.model import ModelLoader, ModelSpec
    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, StreamSettings
    from tidemill.streaming.startup import Start


def check(spark: SparkSession, stream: StreamSettings) -> None:
    """Look whether Spark is as the job needs it, before anything is taken over.

    Raises:
        SpeculationEnabled: Spark would run tasks twice at a time, and delivery is exactly-once.

    """
    speculates = str(spark.sparkContext.getConf().get("spark.speculation")).lower() == "true"
    if stream.delivery == "exactly-once" and speculates:
        raise SpeculationEnabled


def loader(stream: StreamSettings) -> ModelLoader:
    """Return what loads a model in a worker, which has threads where it writes itself."""
    return fork.load if stream.delivery == "exactly-once" else catalogue.load


def start(
    spark: SparkSession,
    kafka: KafkaSettings,
    stream: StreamSettings,
    specs: Sequence[ModelSpec],
    begin: Start,
    *,
    limits: Mapping[str, TopicLimits],
) -> StreamingQuery:
    """Start the query: every record gets one result or one dead letter, in one write.

    `limits` are what the topics take, by name.
    """
    deliver = begin.deliver and replace(
        begin.deliver, batch_bytes=batch_bytes(limits.values(), BATCH_BYTES)
    )
    records = source.records(spark, kafka, stream, begin.offsets)
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
