from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.errors import StreamingQueryException

from app import errors
from app.errors import (
    ConfigurationError,
    DataLoss,
    ModelNotLoadable,
    ModelUnavailable,
    QueryFailed,
    TidemillError,
)
from app.streaming import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKPOINT = "/data/checkpoints"


class Query:
    """A streaming query whose running batch ends after some looks at it."""

    def __init__(self, looks: float = 0, *, reported: bool = True, ends_after: float = 1e9) -> None:
        self.looks, self.reported, self.ends_after = looks, reported, ends_after
        self.stopped_at_batch: int | None = None
        self.stops = 0

    @property
    def isActive(self) -> bool:  # noqa: N802 - Spark's name
        """Tell whether it runs."""
        return not self.stops and self.ends_after > 0

    @property
    def status(self) -> dict[str, Any]:
        """Tell whether a batch runs."""
        self.looks -= 1
        return {"isTriggerActive": self.looks >= 0 or self.reported}

    @property
    def lastProgress(self) -> dict[str, Any] | None:  # noqa: N802 - Spark's name
        """Return the last finished batch."""
        return {"batchId": 8 if self.looks < 0 and self.reported else 7}

    def stop(self) -> None:
        """End it."""
        self.stops += 1
        self.stopped_at_batch = (self.lastProgress or {})["batchId"]

    def awaitTermination(self, _: float) -> bool:  # noqa: N802 - Spark's name
        """Tell whether it has ended."""
        self.ends_after -= 1
        return self.ends_after <= 0


class FirstBatch(Query):
    """A query that has finished no batch yet."""

    @property
    def lastProgress(self) -> dict[str, Any] | None:  # noqa: N802 - Spark's name
        """Return nothing until the first batch is done."""
        return super().lastProgress if self.looks < 0 else None


class TestStop:
    """A query is stopped between two micro-batches."""

    def test_after_the_running_batch(self) -> None:
        """The running batch ends first, as its progress reports it."""
        query: Any = Query(looks=5)
        lifecycle.stop(query, timeout=5)
        assert (query.stops, query.stopped_at_batch) == (1, 8)

    def test_first_batch(self) -> None:
        """So does the first of all."""
        query: Any = FirstBatch(looks=5)
        lifecycle.stop(query, timeout=5)
        assert (query.stops, query.stopped_at_batch) == (1, 8)

    def test_idle(self) -> None:
        """Where no batch runs it is stopped at once."""
        query: Any = Query(looks=0, reported=False)
        began = time.monotonic()
        lifecycle.stop(query, timeout=60)
        assert time.monotonic() - began < 1
        assert query.stops == 1

    @pytest.mark.parametrize("timeout", [0, 0.05])
    def test_timeout(self, timeout: float) -> None:
        """A batch that does not end is not waited for any longer."""
        query: Any = Query(looks=1e9)
        began = time.monotonic()
        lifecycle.stop(query, timeout)
        assert timeout <= time.monotonic() - began < timeout + 1
        assert (query.stops, query.stopped_at_batch) == (1, 7)

    def test_ended_meanwhile(self) -> None:
        """A query that has ended by itself is not waited for."""
        query: Any = Query(looks=1e9, ends_after=0)
        lifecycle.stop(query, timeout=60)
        assert query.stops == 1


class TestRun:
    """A query runs until it ends or somebody asks."""

    def test_ends(self) -> None:
        """By itself: nobody asked, nothing is stopped."""
        query: Any = Query(ends_after=3)
        assert lifecycle.run(query, lambda: False, 5) is False
        assert query.stops == 0

    def test_asked(self) -> None:
        """Asked: it is stopped."""
        asked = iter([False, False, True])
        query: Any = Query()
        assert lifecycle.run(query, lambda: next(asked), 5) is True
        assert query.stops == 1

    def test_fails(self) -> None:
        """An error goes through."""

        class Failing(Query):
            def awaitTermination(self, _: float) -> bool:  # noqa: N802 - Spark's name
                raise StreamingQueryException("gone")

        query: Any = Failing()
        with pytest.raises(StreamingQueryException):
            lifecycle.run(query, lambda: False, 5)


@pytest.fixture
def _handlers() -> Iterator[None]:
    """Put the signals' handlers back."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("_handlers")
class TestSignals:
    """A signal only takes note."""

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_noted(self, signum: signal.Signals) -> None:
        """The program goes on, and knows that it was asked."""
        asked = lifecycle.stop_on_signals()
        assert not asked()
        os.kill(os.getpid(), signum)
        assert asked()

    def test_second_interrupt(self) -> None:
        """A second Ctrl-C interrupts at once."""
        asked = lifecycle.stop_on_signals()
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


WORKER = """\
[STREAM_FAILED] Query [id = 2e1, runId = 9c3] terminated with exception: Job aborted due to stage \
failure: Task 0 in stage 3.0 failed 4 times, most recent failure: Lost task 0.3 in stage 3.0 \
(TID 9) (localhost executor driver): org.apache.spark.api.python.PythonException: Traceback (most \
recent call last):
  File "/opt/app/inference/predictor.py", line 151, in probe
    raise answer.output
app.errors.PredictionFailed: ConnectionError: refused

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/app/streaming/udfs.py", line 62, in on_worker
    yield answer(predictor, batch, results, dead_letters)
app.errors.{raised}

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(X.scala:1)
Driver stacktrace: SQLSTATE: XXKST"""
LOST = """\
[STREAM_FAILED] Query [id = 2e1, runId = 9c3] terminated with exception: Cannot fetch offset 5 \
(GroupId: g, TopicPartition: in-0).
Some data may have been lost because they are not available in Kafka any more; either the
 data was aged out by Kafka or the topic may have been deleted before all the data in the
 topic was processed. If you don't want your streaming query to fail on such cases, set the
 source option "failOnDataLoss" to "false".
    SQLSTATE: XXKST"""
REFUSED = """\
[STREAM_FAILED] Query [id = 2e1, runId = 9c3] terminated with exception: Job aborted. SQLSTATE: X
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.jobAborted(QueryExecutionErrors.scala:1)
Caused by: org.apache.spark.SparkException: Writing job aborted.
\t... 12 more
Caused by: org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized: [out]"""


class TestTranslate:
    """Spark's page becomes the one line that says what is wrong."""

    def translate(self, said: str) -> TidemillError:
        """Translate what Spark says."""
        return lifecycle.translate(StreamingQueryException(said), CHECKPOINT)

    def test_outage(self) -> None:
        """What a worker raised comes back by its name and its words."""
        words = "model m:1 fails on its own sample, so on every message: refused"
        error = self.translate(WORKER.format(raised=f"ModelUnavailable: {words}"))
        assert type(error) is ModelUnavailable
        assert str(error) == words
        assert not isinstance(error, ConfigurationError)

    def test_wrong_configuration(self) -> None:
        """It keeps its kind, so that the exit code is right."""
        words = "model m:1 (x:Y) does not load: ImportError: z; check"
        error = self.translate(WORKER.format(raised=f"ModelNotLoadable: {words}"))
        assert type(error) is ModelNotLoadable
        assert str(error) == words
        assert isinstance(error, ConfigurationError)

    def test_every_leaf(self) -> None:
        """Every error can come back, whatever its constructor takes."""
        for name, leaf in vars(errors).items():
            if isinstance(leaf, type) and issubclass(leaf, TidemillError):
                error = self.translate(WORKER.format(raised=f"{name}: said so"))
                assert type(error) is leaf
                assert str(error) == "said so"

    @pytest.mark.parametrize(
        "said", [LOST, "[KAFKA_DATA_LOSS.X] gone", "OffsetOutOfRangeException"]
    )
    def test_lost_data(self, said: str) -> None:
        """Lost data says what may be done, with the checkpoint's place."""
        error = self.translate(said)
        assert type(error) is DataLoss
        assert CHECKPOINT in str(error)

    def test_cause(self) -> None:
        """Of anything else the innermost cause is told."""
        error = self.translate(REFUSED)
        assert type(error) is QueryFailed
        assert str(error).endswith("TopicAuthorizationException: Not authorized: [out]")

    @pytest.mark.parametrize(
        "said", ["\nonly a line\nand more", WORKER.format(raised="Unheard: of"), "app.errors.os: x"]
    )
    def test_first_line(self, said: str) -> None:
        """Without a known cause the first line is told."""
        error = self.translate(said)
        assert type(error) is QueryFailed
        assert "\n" not in str(error)

    def test_silence(self) -> None:
        """An error without words is told by its type."""
        assert "StreamingQueryException" in str(self.translate(""))
