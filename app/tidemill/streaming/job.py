"""The streaming job: source, transform, sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.inference.features import no_features
from tidemill.spark.udfs import predictions
from tidemill.streaming import sink, source
from tidemill.streaming.observe import observed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyspark import Accumulator
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from tidemill.inference.features import Complete
    from tidemill.inference.route import Route
    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, PoolSettings, StreamSettings
    from tidemill.spark.model_usage import Usages
    from tidemill.streaming.delivery import DeliveryRun


def start(
    spark: SparkSession,
    kafka: KafkaSettings,
    stream: StreamSettings,
    routes: Sequence[Route],
    run: DeliveryRun,
    *,
    pool: PoolSettings,
    limits: Mapping[str, TopicLimits],
    usage: Accumulator[Usages] | None = None,
    features: Callable[[], Complete] = no_features,
) -> StreamingQuery:
    """Start the query, which writes one result or one dead letter for every record.

    `limits` maps the names of the output topics to what they accept. The workers add to `usage`,
    and call `features` for what completes the inputs.
    """
    outcomes = (
        source.records(spark, kafka, stream, run.starting_offsets)
        .transform(
            predictions(
                routes,
                results=stream.output_topic,
                dead_letters=stream.dead_letter_topic,
                limits=limits,
                pool=pool,
                delivery=run.worker_delivery(limits),
                usage=usage,
                features=features,
            )
        )
        .transform(observed)
    )
    return sink.start(outcomes, run.spark_sink(sink.topics(kafka, limits)), stream)
