"""What a worker does with the outcomes of a batch: leave them to Spark's sink, or write them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from tidemill.spark.schemas import OUTCOME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    from pyspark.sql.types import StructType

    from tidemill.spark.rows import Row

# A list of rows for each message of a batch, in the messages' order.
Outcomes: TypeAlias = "list[list[Row]]"
# Takes the outcomes of the messages to predict, delivers them, and returns the rows for Spark.
Deliver: TypeAlias = "Callable[[Outcomes], list[Row]]"


@dataclass(frozen=True, slots=True)
class BatchDelivery:
    """How a worker delivers the outcomes of its batches; Spark sends it to the workers.

    Attributes:
        begin: Returns the parts of a batch, in order: the messages to predict, and what delivers
            their outcomes. Later parts may begin before earlier ones are delivered.
        schema: The columns of the rows that Spark gets.
        buffer_retry: Whether a retry of a task returns no rows before it has computed all of them.
            Spark's sink may have written some rows of the attempt before. If the retry fails too,
            for example because a model is down, it must not write them again.

    """

    begin: Callable[[pa.RecordBatch], Iterable[tuple[pa.RecordBatch, Deliver]]]
    schema: StructType
    buffer_retry: bool


def _return_rows(outcomes: Outcomes) -> list[Row]:
    return list(chain.from_iterable(outcomes))


def _whole(batch: pa.RecordBatch) -> list[tuple[pa.RecordBatch, Deliver]]:
    return [(batch, _return_rows)]


LEAVE_TO_SPARK = BatchDelivery(_whole, OUTCOME, buffer_retry=True)
