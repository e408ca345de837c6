"""Keep a task from being taken for a hung one, and a retried one from repeating rows."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark import TaskContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

IDLE_TIMEOUT = "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"
# A task sends a sign of life after this part of the idle timeout.
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
        """How many seconds a task may be silent; None: as long as it likes."""
        return self.idle_timeout / KEEPALIVES_PER_IDLE_TIMEOUT or None

    def with_keepalive(
        self,
        batches: Iterator[pa.RecordBatch],
        *,
        buffer_all: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches; on a retry with `buffer_all`, only after all of them are computed.

        Empty batches are signs of life, which Spark needs to keep the worker. Yield them only after
        a silence, and while other batches are buffered; but then so many that Spark gets them.
        """
        interval = self.keepalive_interval
        is_buffering = self.number > 0 and buffer_all
        buffered = []
        last_sent = clock()
        for batch in batches:
            if batch.num_rows and not is_buffering:
                yield batch
                continue
            if batch.num_rows:
                buffered.append(batch)
            if interval and clock() - last_sent > interval:
                yield from keepalive_batches(batch)
                last_sent = clock()
        yield from buffered


def keepalive_batches(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield empty batches of the same schema, enough of them to overflow Python's output buffer.

    Spark's idle timer restarts only when bytes arrive.
    """
    empty = batch.slice(0, 0)
    buffer_size = int(os.environ.get("SPARK_BUFFER_SIZE", "65536"))
    for _ in range(buffer_size // empty.serialize().size + 1):
        yield empty
