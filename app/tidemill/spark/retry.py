"""Keep a retried task from repeating rows, and a slow one from being taken for a hung one."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import TaskContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDLE_TIMEOUT = "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"
# A worker that has nothing to send gives a sign of life after this part of the idle timeout.
KEEPALIVES_PER_IDLE_TIMEOUT = 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a task, counted from 0.

    `idle_timeout` is Spark's: it kills a worker that sends nothing for so many seconds (0: never).
    """

    number: int = 0
    idle_timeout: int = 0

    @classmethod
    def current(cls) -> Attempt:
        """Return the attempt that this process is making."""
        context = TaskContext.get()
        if context is None:
            return cls()
        seconds = (context.getLocalProperty(IDLE_TIMEOUT) or "").removesuffix("s")
        return cls(context.attemptNumber() or 0, int(seconds) if seconds.isdecimal() else 0)

    @property
    def keepalive_interval(self) -> float | None:
        """Return the seconds after which Spark needs a sign of life; None if it never does."""
        return self.idle_timeout / KEEPALIVES_PER_IDLE_TIMEOUT or None

    def with_keepalive(
        self,
        batches: Iterator[pa.RecordBatch | None],
        schema: pa.Schema,
        *,
        buffer_all: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches; on a retry with `buffer_all`, only after all of them are computed.

        None stands for a moment without a batch: then yield empty ones, so that Spark keeps the
        worker.
        """
        interval = self.keepalive_interval
        buffered = []
        last_sent = clock()
        for batch in batches:
            if batch is not None and not (self.number and buffer_all):
                yield batch
                continue
            if batch is not None:
                buffered.append(batch)
            if interval and clock() - last_sent > interval:
                yield from keepalive_batches(schema)
                last_sent = clock()
        yield from buffered


def keepalive_batches(schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield empty batches, enough of them to overflow Python's output buffer.

    Spark's idle timer restarts only when bytes arrive.
    """
    empty = pa.RecordBatch.from_pylist([], schema=schema)
    buffer_size = int(os.environ.get("SPARK_BUFFER_SIZE", "65536"))
    for _ in range(buffer_size // empty.serialize().size + 1):
        yield empty
