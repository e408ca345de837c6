"""The rows that go in and out, as Spark knows them."""

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

# A record as Spark's Kafka source gives it; the transform fills what a frame lacks with nulls.
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

# A result or a dead letter. The first four columns are what Spark's Kafka sink takes, `topic` says
# which it is; the others tell of it: the model that was chosen (`name:version`), the error class of
# a dead letter, and the seconds from the message's timestamp to its outcome.
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

# The JSON of a result of the shipped models, for those who read it with `from_json`.
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
