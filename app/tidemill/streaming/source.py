"""Records from Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.kafka.client_options import java_options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from tidemill.settings import KafkaSettings, StreamSettings

# What a task asks for is there, so that it need not wait for more. Kafka's default is 500, and a
# task would first wait for what the one before it asked for last.
FETCH_WAIT_MS = 1


def records(
    spark: SparkSession, kafka: KafkaSettings, stream: StreamSettings, starting_offsets: str
) -> DataFrame:
    """Return the stream of records (`schemas.RECORD`) of the input topics.

    A checkpoint that is there already knows better than `starting_offsets`.
    """
    options = {f"kafka.{name}": value for name, value in java_options(kafka).items()}
    options |= {
        "kafka.isolation.level": kafka.isolation_level,
        "startingOffsets": starting_offsets,
        "maxOffsetsPerTrigger": str(stream.max_offsets_per_trigger),
        "failOnDataLoss": str(stream.fail_on_data_loss).lower(),
        "includeHeaders": "true",
        "kafka.fetch.max.wait.ms": str(FETCH_WAIT_MS),
        # Spark's own consumers: apart from the group that lag tools read, yet under a prefix that
        # an access rule can name.
        "groupIdPrefix": f"{stream.group_id}-spark",
    }
    if stream.input_pattern is not None:
        options["subscribePattern"] = stream.input_pattern
    else:
        options["subscribe"] = ",".join(stream.input_topics)
    if stream.parallelism:
        options["minPartitions"] = str(stream.parallelism)
    return spark.readStream.format("kafka").options(**options).load()
