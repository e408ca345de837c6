"""Write outcomes to Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.kafka.client_options import java_options
from tidemill.kafka.record_size import MAX_UNCOMPRESSED_BYTES, batch_bytes
from tidemill.spark.schemas import SINK_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

    from tidemill.kafka.record_size import TopicLimits
    from tidemill.settings import KafkaSettings, StreamSettings

QUERY_NAME = "tidemill"
# Kafka's default. Topics limit the size of a batch, and Java's client cannot split every batch.
BATCH_BYTES = 16_384


def write(
    outcomes: DataFrame,
    kafka: KafkaSettings,
    stream: StreamSettings,
    limits: Mapping[str, TopicLimits],
) -> StreamingQuery:
    """Start the query that writes outcomes (`SINK_COLUMNS`), each to the topic that it names."""
    options = {f"kafka.{name}": value for name, value in java_options(kafka).items()}
    options |= {
        "kafka.max.request.size": str(MAX_UNCOMPRESSED_BYTES),
        "kafka.buffer.memory": str(2 * MAX_UNCOMPRESSED_BYTES),
        "kafka.batch.size": str(batch_bytes(limits.values(), BATCH_BYTES)),
        "kafka.compression.type": kafka.compression_type,
    }
    return _start(
        outcomes.select(*SINK_COLUMNS).writeStream.format("kafka").options(**options), stream
    )


def discard(outcomes: DataFrame, stream: StreamSettings) -> StreamingQuery:
    """Start the query whose workers write the outcomes themselves (exactly-once)."""
    return _start(outcomes.writeStream.format("noop"), stream)


def _start(writer: DataStreamWriter, stream: StreamSettings) -> StreamingQuery:
    trigger = (
        {"availableNow": True}
        if stream.trigger == "available-now"
        else {"processingTime": stream.trigger}
    )
    return (
        writer.queryName(QUERY_NAME)
        .option("checkpointLocation", stream.checkpoint_location)
        .trigger(**trigger)
        .start()
    )
