"""How a task is tried again: what ended its last attempt shall not end this one."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark import TaskContext

from tidemill.models.isolation import supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from tidemill.inference.model import ModelLoader

IDLE_TIMEOUT = "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"
# Of the idle time-out, what one call of a model may take: then any slice of four messages is done
# in time, whatever they do, where a load takes no longer than a call. Four that hang, each for a
# model of its own, take 8 calls and 8 loads (the message, then the sample); for one model, 7 and 6.
SHARE = 20
SLICES = (16, 4, 1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a task: 0 is the first.

    `idle_timeout` is Spark's: the seconds without a byte after which it ends a worker; 0: never.
    """

    number: int = 0
    idle_timeout: int = 0

    @classmethod
    def current(cls) -> Attempt:
        """Return the attempt that this process makes."""
        context = TaskContext.get()
        if context is None:
            return cls()
        seconds = (context.getLocalProperty(IDLE_TIMEOUT) or "").removesuffix("s")
        return cls(context.attemptNumber() or 0, int(seconds) if seconds.isdecimal() else 0)

    @property
    def limit(self) -> float | None:
        """Return the seconds that a call of a model may take, None where there is no limit."""
        return self.idle_timeout / SHARE or None

    @contextmanager
    def models(self, first: ModelLoader) -> Iterator[ModelLoader]:
        """Yield what loads a model: `first` at first, then in a process that it may end."""
        if not self.number:
            yield first
            return
        with supervised.loader(self.limit) as load:
            yield load

    def slices(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Cut batches, so that each is done within the idle time-out, whatever its messages do."""
        if not self.number:
            yield from batches
            return
        size = SLICES[min(self.number, len(SLICES)) - 1]
        for batch in batches:
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)

    def paced(
        self,
        answers: Iterator[pa.RecordBatch],
        *,
        hold: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> Iterator[pa.RecordBatch]:
        """Give back what is answered, with signs of life; with `hold` only when all is answered."""
        if not self.number:
            yield from answers
            return
        held = []
        told = clock()
        for answer in answers:
            if hold:
                held.append(answer)
            else:
                yield answer
            if self.limit and clock() - told > self.limit:
                yield from signs_of_life(answer)
                told = clock()
        yield from held


def signs_of_life(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield batches like this one, but without rows, until some of them reach Spark.

    It counts bytes, of which Python holds back what its buffer takes.
    """
    empty = batch.slice(0, 0)
    buffered = int(os.environ.get("SPARK_BUFFER_SIZE", "65536"))
    for _ in range(buffered // empty.serialize().size + 1):
        yield empty
