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
    """A page of Spark's output becomes one line that says what is wrong."""

    def translate(self, text: str) -> TidemillError:
        """Translate an exception with this text."""
        return translate(StreamingQueryException(text), CHECKPOINT)

    def test_outage(self) -> None:
        """An error that a worker raised keeps its class and its message."""
        words = "model m:1 fails on its own sample: refused"
        error = self.translate(WORKER.format(raised=f"ModelUnavailable: {words}"))
        assert type(error) is ModelUnavailable
        assert str(error) == words
        assert not isinstance(error, ConfigurationError)

    def test_wrong_configuration(self) -> None:
        """A configuration error stays one, so that the exit code is right."""
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
    def test_missing_on_workers(self, raised: str) -> None:
        """A module that only the driver has is reported as missing on the executors."""
        error = self.translate(WORKER.replace("tidemill.errors.{raised}", raised))
        assert type(error) is MissingOnExecutors
        assert isinstance(error, ConfigurationError)
        assert "the Python module json.decoder is missing on Spark's executors" in str(error)
        assert "--py-files" in error.hint

    @pytest.mark.parametrize("module", ["no_such_module", "json.no_such", "pytest.x.y"])
    def test_missing_everywhere(self, module: str) -> None:
        """For a module that the driver lacks too, the model's error is kept."""
        raised = f"ModelMisconfigured: ModuleNotFoundError: No module named '{module}'"
        assert type(self.translate(WORKER.format(raised=raised))) is ModelMisconfigured

    def test_every_leaf(self) -> None:
        """Every error class can be translated, whatever its constructor takes."""
        for name, leaf in vars(errors).items():
            if isinstance(leaf, type) and issubclass(leaf, TidemillError):
                error = self.translate(WORKER.format(raised=f"{name}: the words"))
                assert type(error) is leaf
                assert str(error) == "the words"

    @pytest.mark.parametrize(
        "text", [LOST, "[KAFKA_DATA_LOSS.X] gone", "OffsetOutOfRangeException"]
    )
    def test_lost_data(self, text: str) -> None:
        """A loss of data names the checkpoint."""
        error = self.translate(text)
        assert type(error) is DataLoss
        assert CHECKPOINT in error.hint

    def test_cause(self) -> None:
        """Of any other failure, the innermost cause is quoted."""
        error = self.translate(REFUSED)
        assert type(error) is QueryFailed
        assert str(error).endswith("TopicAuthorizationException: Not authorized: [out]")

    @pytest.mark.parametrize(
        "text", ["\nonly a line\nand more", "only a line", "\n  \nonly a line\n"]
    )
    def test_first_line(self, text: str) -> None:
        """Without a known cause, the first line is quoted."""
        error = self.translate(text)
        assert type(error) is QueryFailed
        assert str(error) == "the Spark query failed: only a line"

    @pytest.mark.parametrize("text", ["tidemill.errors.os: x", "tidemill.errors.DataLoss: x"])
    def test_no_traceback(self, text: str) -> None:
        """The name of a Tidemill error outside a traceback is ignored."""
        assert type(self.translate(text)) is QueryFailed

    def test_no_text(self) -> None:
        """Of an exception without text, the type is quoted."""
        assert "StreamingQueryException" in str(self.translate(""))


class TestTraceback:
    """An exception of a Python worker takes precedence over Java's."""

    @pytest.mark.parametrize(
        ("raised", "quoted"),
        [
            ("Unheard: of", "tidemill.errors.Unheard: of"),
            ("os: x", "tidemill.errors.os: x"),
            ("ModelUnavailable", "tidemill.errors.ModelUnavailable"),
        ],
    )
    def test_last_exception(self, raised: str, quoted: str) -> None:
        """Of several tracebacks, the exception of the last one is quoted."""
        error = translate(StreamingQueryException(WORKER.format(raised=raised)), CHECKPOINT)
        assert type(error) is QueryFailed
        assert str(error) == f"the Spark query failed: {quoted}"

    def test_before_java(self) -> None:
        """It takes precedence over Java's causes, which are printed after it."""
        text = WORKER.format(raised="Unheard: of") + "\nCaused by: java.io.EOFException: end"
        assert str(translate(StreamingQueryException(text), CHECKPOINT)).endswith("Unheard: of")

    def test_before_lost_data(self) -> None:
        """A model's message about lost data does not mean a loss of data."""
        text = WORKER.format(raised="ModelUnavailable: failOnDataLoss; long overflow")
        assert type(translate(StreamingQueryException(text), CHECKPOINT)) is ModelUnavailable

    def test_frames(self) -> None:
        """Lines of code, and Java's lines after the traceback, are not taken for exceptions."""
        text = (
            "Traceback (most recent call last):\n"
            '  File "m.py", line 1, in predict_all\n'
            "    error: int = fail()\n"
            "                ^^^^^^\n"
            "own.models.Busy\n\nDriver stacktrace:\n"
        )
        error = translate(StreamingQueryException(text), CHECKPOINT)
        assert str(error) == "the Spark query failed: own.models.Busy"


class Java:
    """A Java exception, as py4j represents it."""

    def __init__(self, text: str, cause: Java | None = None) -> None:
        self.text, self.cause = text, cause

    def toString(self) -> str:  # noqa: N802 - Java's name
        """Return its class and message."""
        return self.text

    def getCause(self) -> Java | None:  # noqa: N802 - Java's name
        """Return its cause."""
        return self.cause


class TestJavaCauses:
    """The causes of a Java exception count as if they were printed."""

    @pytest.mark.parametrize("attribute", ["_origin", "java_exception"])
    def test_root(self, attribute: str) -> None:
        """The root cause is quoted, whichever attribute has it."""
        error: Any = StreamingQueryException("[STREAM_FAILED] Job aborted.")
        setattr(
            error, attribute, Java("a.B: outer", Java("c.D: inner\n\tat x", Java("e.F: root\nx")))
        )
        assert str(translate(error, CHECKPOINT)) == "the Spark query failed: e.F: root"

    def test_traceback(self) -> None:
        """A worker's traceback is found in a cause."""
        error: Any = StreamingQueryException("[STREAM_FAILED] Job aborted.")
        words = "model m:1 fails on its own sample: refused"
        error.java_exception = Java(
            "a.B: outer", Java(WORKER.format(raised=f"ModelUnavailable: {words}"))
        )
        assert type(translate(error, CHECKPOINT)) is ModelUnavailable
        assert str(translate(error, CHECKPOINT)) == words


class TestJvmExited:
    """An exit of the JVM is recognised."""

    @pytest.mark.parametrize(
        "error",
        [
            Py4JNetworkError("Answer from Java side is empty"),
            ConnectionRefusedError(111, "Connection refused"),
            ConnectionResetError(),
            Py4JError("org.apache.spark.sql.X does not exist in the JVM"),
        ],
    )
    def test_translated(self, error: Exception) -> None:
        """Whatever py4j raises, it is a fault and not a configuration error."""
        translated = translate(error, CHECKPOINT)
        assert type(translated) is JvmExited
        assert not isinstance(translated, ConfigurationError)


class TestRecordRefused:
    """A refused record is recognised, whichever client reports it."""

    @pytest.mark.parametrize(
        ("text", "reason"),
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
    def test_named(self, text: str, reason: str) -> None:
        """The error has the broker's reason, and a restart may help."""
        error = translate(StreamingQueryException(text), CHECKPOINT)
        assert isinstance(error, RecordRefused)
        assert not isinstance(error, ConfigurationError)
        assert str(error) == f"a topic refuses a record: {reason}"

    @pytest.mark.parametrize("code", ["_TIMED_OUT", "INVALID_PRODUCER_EPOCH"])
    def test_others(self, code: str) -> None:
        """A transaction that fails for another reason is not a refused record."""
        text = WORKER.format(raised=f"TransactionFailed: in/0: KafkaError{{code={code},}}")
        assert not isinstance(translate(StreamingQueryException(text), CHECKPOINT), RecordRefused)


class TestTimestamp:
    """A timestamp that overflows Spark's has an error of its own."""

    def test_overflow(self) -> None:
        """The error names the setting of topics that keeps such records out."""
        text = "[STREAM_FAILED] x\nCaused by: java.lang.ArithmeticException: long overflow\n\tat y"
        error = translate(StreamingQueryException(text), CHECKPOINT)
        assert type(error) is TimestampOverflow
        assert "message.timestamp.after.max.ms" in error.hint

    def test_other_arithmetic(self) -> None:
        """Another ArithmeticException is not about a timestamp."""
        text = "Caused by: java.lang.ArithmeticException: / by zero"
        assert type(translate(StreamingQueryException(text), CHECKPOINT)) is QueryFailed


class TestDamagedCheckpoint:
    """A damaged or missing entry of the checkpoint has an error of its own."""

    @pytest.mark.parametrize(
        "text",
        [
            "[STREAM_FAILED] terminated with exception: Failed to read log file file:/a/commits/1.",
            "Caused by: a.SparkIllegalStateException: [MALFORMED_LOG_FILE] Log file was malformed",
            "[STREAMING_CHECKPOINT_MISSING_METADATA_FILE] Checkpoint location file:/a is in an",
            "[STREAM_FAILED] x terminated with exception: batch 7 doesn't exist SQLSTATE: XXKST",
            '[STREAM_FAILED] Expected e.g. {"topicA":{"0":23,"1":-1}}, got {"in":{"0":7|',
            "calling o1.start.\n: com.fasterxml.jackson.databind.exc.MismatchedInputException: No",
        ],
    )
    def test_words(self, text: str) -> None:
        """Whatever Spark's words, it is a configuration error that names the checkpoint."""
        error = translate(StreamingQueryException(text), CHECKPOINT)
        assert type(error) is CheckpointDamaged
        assert CHECKPOINT in str(error)
        assert isinstance(error, ConfigurationError)

    def test_root(self) -> None:
        """The message of Java's root cause is quoted."""
        error: Any = StreamingQueryException("[STREAM_FAILED] Unexpected end-of-input")
        error.java_exception = Java(
            "a.B: x", Java("com.fasterxml.jackson.core.X: end\n at [Source")
        )
        translated = translate(error, CHECKPOINT)
        assert type(translated) is CheckpointDamaged
        assert "com.fasterxml.jackson.core.X: end" in str(translated)

    def test_other_words(self) -> None:
        """A model's message about JSON does not mean a damaged checkpoint."""
        text = WORKER.format(raised="ModelUnavailable: com.fasterxml.jackson.core.X: end")
        assert type(translate(StreamingQueryException(text), CHECKPOINT)) is ModelUnavailable
