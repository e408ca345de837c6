from __future__ import annotations

from typing import Any

import pytest
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import StreamingQueryException

from tidemill import errors
from tidemill.errors import (
    CheckpointDamaged,
    ConfigurationError,
    DataLoss,
    JvmExited,
    MissingOnExecutors,
    ModelMisconfigured,
    ModelUnavailable,
    QueryFailed,
    RecordRefused,
    TidemillError,
    TimestampOverflow,
)
from tidemill.spark.failures import translate

CHECKPOINT = "/data/checkpoints"

WORKER = """\
[STREAM_FAILED] Query [id = 2e1, runId = 9c3] terminated with exception: Job aborted due to stage \
failure: Task 0 in stage 3.0 failed 4 times, most recent failure: Lost task 0.3 in stage 3.0 \
(TID 9) (localhost executor driver): org.apache.spark.api.python.PythonException: Traceback (most \
recent call last):
  File "/opt/app/tidemill/inference/predictor.py", line 151, in probe
    raise answer.output
tidemill.errors.PredictionFailed: ConnectionError: refused

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/app/tidemill/spark/udfs.py", line 62, in on_worker
    yield answer(predictor, batch, results, dead_letters)
tidemill.errors.{raised}

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
        return translate(StreamingQueryException(said), CHECKPOINT)

    def test_outage(self) -> None:
        """What a worker raised comes back by its name and its words."""
        words = "model m:1 is down, it fails on its own sample: refused"
        error = self.translate(WORKER.format(raised=f"ModelUnavailable: {words}"))
        assert type(error) is ModelUnavailable
        assert str(error) == words
        assert not isinstance(error, ConfigurationError)

    def test_wrong_configuration(self) -> None:
        """It keeps its kind, so that the exit code is right."""
        words = "model m:1 (x:Y) does not load: ImportError: z; check"
        error = self.translate(WORKER.format(raised=f"ModelMisconfigured: {words}"))
        assert type(error) is ModelMisconfigured
        assert str(error) == words
        assert isinstance(error, ConfigurationError)

    @pytest.mark.parametrize(
        "raised",
        [
            "ModuleNotFoundError: No module named 'json.decoder'",
            (
                "tidemill.errors.ModelMisconfigured: m:1: ModuleNotFoundError: "
                "No module named 'json.decoder'"
            ),
        ],
    )
    def test_only_here(self, raised: str) -> None:
        """A module that the driver has and a worker lacks is a wrong configuration, named."""
        error = self.translate(WORKER.replace("tidemill.errors.{raised}", raised))
        assert type(error) is MissingOnExecutors
        assert isinstance(error, ConfigurationError)
        assert "the Python module json.decoder is missing on Spark's executors" in str(error)
        assert "--py-files" in str(error)

    @pytest.mark.parametrize("module", ["no_such_module", "json.no_such", "pytest.x.y"])
    def test_nowhere(self, module: str) -> None:
        """A module that the driver lacks too is not said to be there."""
        raised = f"ModelMisconfigured: ModuleNotFoundError: No module named '{module}'"
        assert type(self.translate(WORKER.format(raised=raised))) is ModelMisconfigured

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
        "said", ["\nonly a line\nand more", "only a line", "\n  \nonly a line\n"]
    )
    def test_first_line(self, said: str) -> None:
        """Without a known cause the first line is told."""
        error = self.translate(said)
        assert type(error) is QueryFailed
        assert str(error) == "Spark could not go on: only a line"

    @pytest.mark.parametrize("said", ["tidemill.errors.os: x", "tidemill.errors.DataLoss: x"])
    def test_no_traceback(self, said: str) -> None:
        """What only looks like an error of ours, outside a traceback, is none."""
        assert type(self.translate(said)) is QueryFailed

    def test_silence(self) -> None:
        """An error without words is told by its type."""
        assert "StreamingQueryException" in str(self.translate(""))


class TestTraceback:
    """What Python raised on a worker is told before anything that Java says of it."""

    @pytest.mark.parametrize(
        ("raised", "told"),
        [
            ("Unheard: of", "tidemill.errors.Unheard: of"),
            ("os: x", "tidemill.errors.os: x"),
            ("ModelUnavailable", "tidemill.errors.ModelUnavailable"),
        ],
    )
    def test_last_exception(self, raised: str, told: str) -> None:
        """Of several tracebacks the last one's exception counts, be it ours or not."""
        error = translate(StreamingQueryException(WORKER.format(raised=raised)), CHECKPOINT)
        assert type(error) is QueryFailed
        assert str(error) == f"Spark could not go on: {told}"

    def test_before_java(self) -> None:
        """It wins over Java's causes that are printed after it."""
        said = WORKER.format(raised="Unheard: of") + "\nCaused by: java.io.EOFException: end"
        assert str(translate(StreamingQueryException(said), CHECKPOINT)).endswith("Unheard: of")

    def test_before_lost_data(self) -> None:
        """A model's words on lost data are a model's words."""
        said = WORKER.format(raised="ModelUnavailable: failOnDataLoss; long overflow")
        assert type(translate(StreamingQueryException(said), CHECKPOINT)) is ModelUnavailable

    def test_frames(self) -> None:
        """Lines of code, and Java's after the trace, are no exceptions."""
        said = (
            "Traceback (most recent call last):\n"
            '  File "m.py", line 1, in predict_all\n'
            "    error: int = fail()\n"
            "                ^^^^^^\n"
            "own.models.Busy\n\nDriver stacktrace:\n"
        )
        error = translate(StreamingQueryException(said), CHECKPOINT)
        assert str(error) == "Spark could not go on: own.models.Busy"


class Java:
    """An exception of Java as py4j shows it."""

    def __init__(self, said: str, cause: Java | None = None) -> None:
        self.said, self.cause = said, cause

    def toString(self) -> str:  # noqa: N802 - Java's name
        """Return its class and what it says."""
        return self.said

    def getCause(self) -> Java | None:  # noqa: N802 - Java's name
        """Return what is behind it."""
        return self.cause


class TestJavaCauses:
    """What Java keeps behind its exception counts as if it were printed."""

    @pytest.mark.parametrize("where", ["_origin", "java_exception"])
    def test_root(self, where: str) -> None:
        """The root is told, wherever Python keeps it."""
        error: Any = StreamingQueryException("[STREAM_FAILED] Job aborted.")
        setattr(error, where, Java("a.B: outer", Java("c.D: inner\n\tat x", Java("e.F: root\nx"))))
        assert str(translate(error, CHECKPOINT)) == "Spark could not go on: e.F: root"

    def test_traceback(self) -> None:
        """A worker's traceback is found there."""
        error: Any = StreamingQueryException("[STREAM_FAILED] Job aborted.")
        words = "model m:1 is down, it fails on its own sample: refused"
        error.java_exception = Java(
            "a.B: outer", Java(WORKER.format(raised=f"ModelUnavailable: {words}"))
        )
        assert type(translate(error, CHECKPOINT)) is ModelUnavailable
        assert str(translate(error, CHECKPOINT)) == words


class TestJavaEnded:
    """Without Java there is nobody to ask."""

    @pytest.mark.parametrize(
        "error",
        [
            Py4JNetworkError("Answer from Java side is empty"),
            ConnectionRefusedError(111, "Connection refused"),
            ConnectionResetError(),
            Py4JError("org.apache.spark.sql.X does not exist in the JVM"),
        ],
    )
    def test_gone(self, error: Exception) -> None:
        """Whatever shape the silence has, it is a fault with a name."""
        translated = translate(error, CHECKPOINT)
        assert type(translated) is JvmExited
        assert not isinstance(translated, ConfigurationError)


class TestRecordRefused:
    """A topic that refuses a record is named, whichever client says so."""

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (
                REFUSED.replace("TopicAuthorization", "RecordTooLarge"),
                "RecordTooLargeException: Not authorized: [out]",
            ),
            (
                "Caused by: org.apache.kafka.common.InvalidRecordException: Compacted topic\nat x",
                "InvalidRecordException: Compacted topic",
            ),
            (
                WORKER.format(raised="TransactionFailed: in/0: KafkaError{code=INVALID_RECORD,}"),
                "in/0: KafkaError{code=INVALID_RECORD,}",
            ),
        ],
    )
    def test_named(self, said: str, reason: str) -> None:
        """With the broker's reason, and what to do; a restart may help."""
        error = translate(StreamingQueryException(said), CHECKPOINT)
        assert isinstance(error, RecordRefused)
        assert not isinstance(error, ConfigurationError)
        assert str(error).startswith(f"a topic refuses a record: {reason}. ")

    @pytest.mark.parametrize("code", ["_TIMED_OUT", "INVALID_PRODUCER_EPOCH"])
    def test_others(self, code: str) -> None:
        """A transaction that fails for another reason is none."""
        said = WORKER.format(raised=f"TransactionFailed: in/0: KafkaError{{code={code},}}")
        assert not isinstance(translate(StreamingQueryException(said), CHECKPOINT), RecordRefused)


class TestTimestamp:
    """A timestamp that Spark cannot hold has an error of its own."""

    def test_overflow(self) -> None:
        """It says which setting of the topics keeps such records out."""
        said = "[STREAM_FAILED] x\nCaused by: java.lang.ArithmeticException: long overflow\n\tat y"
        error = translate(StreamingQueryException(said), CHECKPOINT)
        assert type(error) is TimestampOverflow
        assert "message.timestamp.after.max.ms" in str(error)

    def test_other_arithmetic(self) -> None:
        """Another error of arithmetic is none of a timestamp."""
        said = "Caused by: java.lang.ArithmeticException: / by zero"
        assert type(translate(StreamingQueryException(said), CHECKPOINT)) is QueryFailed


class TestDamagedCheckpoint:
    """An entry of the checkpoint that Spark cannot read, or misses, has an error of its own."""

    @pytest.mark.parametrize(
        "said",
        [
            "[STREAM_FAILED] terminated with exception: Failed to read log file file:/a/commits/1.",
            "Caused by: a.SparkIllegalStateException: [MALFORMED_LOG_FILE] Log file was malformed",
            "[STREAMING_CHECKPOINT_MISSING_METADATA_FILE] Checkpoint location file:/a is in an",
            "[STREAM_FAILED] x terminated with exception: batch 7 doesn't exist SQLSTATE: XXKST",
            '[STREAM_FAILED] Expected e.g. {"topicA":{"0":23,"1":-1}}, got {"in":{"0":7|',
            "calling o1.start.\n: com.fasterxml.jackson.databind.exc.MismatchedInputException: No",
        ],
    )
    def test_words(self, said: str) -> None:
        """Whatever words Spark has for it; where it lies is told, and a restart is of no use."""
        error = translate(StreamingQueryException(said), CHECKPOINT)
        assert type(error) is CheckpointDamaged
        assert CHECKPOINT in str(error)
        assert isinstance(error, ConfigurationError)

    def test_root(self) -> None:
        """Java's innermost words are told, which name what is wrong."""
        error: Any = StreamingQueryException("[STREAM_FAILED] Unexpected end-of-input")
        error.java_exception = Java(
            "a.B: x", Java("com.fasterxml.jackson.core.X: end\n at [Source")
        )
        translated = translate(error, CHECKPOINT)
        assert type(translated) is CheckpointDamaged
        assert "com.fasterxml.jackson.core.X: end." in str(translated)

    def test_other_words(self) -> None:
        """A model's trouble with JSON is a model's."""
        said = WORKER.format(raised="ModelUnavailable: com.fasterxml.jackson.core.X: end")
        assert type(translate(StreamingQueryException(said), CHECKPOINT)) is ModelUnavailable
