"""Read records from Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.kafka.client_options import java_options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from tidemill.settings import KafkaSettings, StreamSettings

# The records that a task requests already exist, so the broker need not wait for more. With Kafka's
# default of 500, a task would first wait for the last request of the task before it.
FETCH_MAX_WAIT_MS = 1


def records(
    spark: SparkSession, kafka: KafkaSettings, stream: StreamSettings, starting_offsets: str
) -> DataFrame:
    """Return the stream of records (`schemas.RECORD`) of the input topics.

    An existing checkpoint overrides `starting_offsets`.
    """
    options = {f"kafka.{name}": value for name, value in java_options(kafka).items()}
    options |= {
        "kafka.isolation.level": kafka.isolation_level,
        "startingOffsets": starting_offsets,
        "maxOffsetsPerTrigger": str(stream.max_offsets_per_trigger),
        "failOnDataLoss": str(stream.fail_on_data_loss).lower(),
        "includeHeaders": "true",
        "kafka.fetch.max.wait.ms": str(FETCH_MAX_WAIT_MS),
        # Spark's own consumers use other groups than the one that lag tools read, with a prefix
        # that an ACL can name.
        "groupIdPrefix": f"{stream.group_id}-spark",
    }
    if stream.input_pattern is not None:
        options["subscribePattern"] = stream.input_pattern
    else:
        options["subscribe"] = ",".join(stream.input_topics)
    if stream.parallelism:
        options["minPartitions"] = str(stream.parallelism)
    return spark.readStream.format("kafka").options(**options).load()
