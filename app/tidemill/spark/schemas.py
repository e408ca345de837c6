"""Define the Spark schemas of records, outcomes and the shipped models' results."""

from __future__ import annotations

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

HEADERS = ArrayType(
    StructType([StructField("key", StringType()), StructField("value", BinaryType())])
)

# A record of Spark's Kafka source; in other frames, the transform sets missing columns to null.
RECORD = StructType(
    [
        StructField("key", BinaryType()),
        StructField("value", BinaryType()),
        StructField("topic", StringType()),
        StructField("partition", IntegerType()),
        StructField("offset", LongType()),
        StructField("timestamp", TimestampType()),
        StructField("headers", HEADERS),
    ]
)

# A result or a dead letter, depending on `topic`. Spark's Kafka sink writes the first four columns.
# The others are metadata: the model that was chosen (`name:version`), the error class of a dead
# letter, and the seconds from the message's timestamp to its outcome.
OUTCOME = StructType(
    [
        StructField("topic", StringType(), nullable=False),
        StructField("key", BinaryType()),
        StructField("value", BinaryType()),
        StructField("headers", HEADERS),
        StructField("model", StringType()),
        StructField("error", StringType()),
        StructField("latency", DoubleType()),
    ]
)
SINK_COLUMNS = ("topic", "key", "value", "headers")
OUTCOME_METADATA = StructType([field for field in OUTCOME if field.name not in SINK_COLUMNS])

# The JSON of the shipped models' results, for use with `from_json`.
NER_RESULT = StructType(
    [
        StructField("uuid", StringType()),
        StructField("lang", StringType()),
        StructField(
            "ner",
            ArrayType(
                StructType(
                    [
                        StructField("entity", StringType()),
                        StructField("category", StringType()),
                        StructField("start", IntegerType()),
                        StructField("end", IntegerType()),
                    ]
                )
            ),
        ),
        StructField("model", StringType()),
        StructField("ts_start", TimestampType()),
        StructField("ts_end", TimestampType()),
        StructField("process_time", DoubleType()),
        StructField("error_message", StringType()),
    ]
)
