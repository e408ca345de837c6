"""Retry a task so that an input which killed or hung its last worker cannot do so again."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark import TaskContext

from tidemill.models.isolation import policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from tidemill.inference.model import ModelLoader

IDLE_TIMEOUT = "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"
# A call of a model may take one part of the idle timeout in so many. Then any four messages are
# done in time, provided that a load takes no longer than a call: if each hangs a model of its own,
# they take 8 calls and 8 loads (the message, then the sample); if all hang one model, 7 and 6.
CALLS_PER_IDLE_TIMEOUT = 20
RETRY_BATCH_SIZES = (16, 4, 1)


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
    def call_timeout(self) -> float | None:
        """Return the seconds that a call of a model may take; None means no limit."""
        return self.idle_timeout / CALLS_PER_IDLE_TIMEOUT or None

    def models(self, load: ModelLoader) -> AbstractContextManager[ModelLoader]:
        """Return a context with this attempt's loader of models; the first attempt has `load`."""
        return policy.retry_loader(load, is_retry=self.number > 0, call_timeout=self.call_timeout)

    def slices(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Cut the batches of a retry so small that each is done within the idle timeout."""
        if not self.number:
            yield from batches
            return
        size = RETRY_BATCH_SIZES[min(self.number, len(RETRY_BATCH_SIZES)) - 1]
        for batch in batches:
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)

    def with_keepalive(
        self,
        batches: Iterator[pa.RecordBatch],
        *,
        buffer_all: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches; on a retry, yield empty ones too, so that Spark keeps the worker.

        With `buffer_all` a retry yields no rows before it has computed all of them.
        """
        if not self.number:
            yield from batches
            return
        buffered = []
        last_sent = clock()
        for batch in batches:
            if buffer_all:
                buffered.append(batch)
            else:
                yield batch
            if self.call_timeout and clock() - last_sent > self.call_timeout:
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
