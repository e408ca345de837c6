"""What a worker does with the outcomes of a batch: leave them to Spark's sink, or write them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from tidemill.spark.schemas import OUTCOME

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from pyspark.sql.types import StructType

    from tidemill.spark.rows import Row

# Returns the outcomes of a batch: a list of rows for each message, in the messages' order.
PredictBatch: TypeAlias = "Callable[[pa.RecordBatch], list[list[Row]]]"
# Delivers the outcomes of a batch, and returns the rows that Spark gets.
DeliverBatch: TypeAlias = "Callable[[pa.RecordBatch, PredictBatch], list[Row]]"


@dataclass(frozen=True, slots=True)
class BatchDelivery:
    """How a worker delivers the outcomes of its batches.

    Attributes:
        deliver: Delivers the outcomes of a batch. Spark sends it to the workers.
        schema: The columns of the rows that Spark gets.
        buffer_retry: Whether a retry of a task returns no rows before it has computed all of them.
            Spark's sink may have written some rows of the attempt before. If the retry fails too,
            for example because a model is down, it must not write them again.

    """

    deliver: DeliverBatch
    schema: StructType
    buffer_retry: bool


def _return_rows(batch: pa.RecordBatch, predict: PredictBatch) -> list[Row]:
    return list(chain.from_iterable(predict(batch)))


LEAVE_TO_SPARK = BatchDelivery(_return_rows, OUTCOME, buffer_retry=True)
