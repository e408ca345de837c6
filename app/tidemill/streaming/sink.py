"""Write the outcomes of the query: to topics, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tidemill.kafka.client_options import MAX_UNCOMPRESSED_BYTES, java_options
from tidemill.kafka.record_size import batch_bytes
from tidemill.spark.schemas import SINK_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import DataFrame
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, StreamSettings

QUERY_NAME = "tidemill"
# Kafka's default. Topics limit the size of a batch, and Java's client cannot split every batch.
BATCH_BYTES = 16_384

# Takes a stream of outcomes (`schemas.OUTCOME`), and returns Spark's writer for it.
Sink: TypeAlias = "Callable[[DataFrame], DataStreamWriter]"


def topics(kafka: KafkaSettings, limits: Mapping[str, TopicLimits]) -> Sink:
    """Return the sink that writes each outcome to the topic that it names."""
    options = {f"kafka.{name}": value for name, value in java_options(kafka).items()}
    options |= {
        "kafka.max.request.size": str(MAX_UNCOMPRESSED_BYTES),
        "kafka.buffer.memory": str(2 * MAX_UNCOMPRESSED_BYTES),
        "kafka.batch.size": str(batch_bytes(limits.values(), BATCH_BYTES)),
        "kafka.compression.type": kafka.compression_type,
    }
    return lambda outcomes: (
        outcomes.select(*SINK_COLUMNS).writeStream.format("kafka").options(**options)
    )


def nothing(outcomes: DataFrame) -> DataStreamWriter:
    """Write nothing, because the workers have written the outcomes; a `Sink`."""
    return outcomes.writeStream.format("noop")


def start(outcomes: DataFrame, sink: Sink, stream: StreamSettings) -> StreamingQuery:
    """Start the query that writes outcomes to a sink."""
    trigger = (
        {"availableNow": True}
        if stream.trigger == "available-now"
        else {"processingTime": stream.trigger}
    )
    return (
        sink(outcomes)
        .queryName(QUERY_NAME)
        .option("checkpointLocation", stream.checkpoint_location)
        .trigger(**trigger)
        .start()
    )
