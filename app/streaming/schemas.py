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

# A result or a dead letter, as Spark's Kafka sink takes it: `topic` says which.
OUTCOME = StructType(
    [
        StructField("topic", StringType(), nullable=False),
        StructField("key", BinaryType()),
        StructField("value", BinaryType()),
        StructField("headers", HEADERS),
    ]
)

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
