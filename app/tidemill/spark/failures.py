"""Translate exceptions of Spark, the JVM and Python workers into Tidemill errors."""

from __future__ import annotations

import re
from importlib.util import find_spec
from itertools import dropwhile, islice, takewhile
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from py4j.protocol import Py4JNetworkError

from tidemill import errors
from tidemill.errors import (
    CheckpointDamaged,
    CheckpointInUse,
    DataLoss,
    InputUnreadable,
    JvmExited,
    MissingOnExecutors,
    QueryFailed,
    RecordRefused,
    TidemillError,
    TimestampOverflow,
    TopicDeleted,
    rebuild,
)
from tidemill.errors.base import HINT, PROBLEM

if TYPE_CHECKING:
    from collections.abc import Sequence

# Spark cannot read an entry of its checkpoint, or the entry is missing.
CHECKPOINT_DAMAGED = re.compile(
    r"(?m)^.*(?:Failed to read log file|MALFORMED_LOG_FILE|CHECKPOINT_MISSING_METADATA_FILE"
    r"|: batch \d+ doesn't exist|Expected e\.g\. \{|(?:^|: )com\.fasterxml\.jackson\.).*$"
)
# A topic rejects a record: the words of Java's client, then those of librdkafka.
RECORD_REFUSED = re.compile(
    r"org\.apache\.kafka\.common\.(?:errors\.)?"
    r"((?:RecordTooLarge|RecordBatchTooLarge|InvalidRecord|InvalidTimestamp)Exception: .+)"
    r"|TransactionFailed: (.+code="
    r"(?:MSG_SIZE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_RECORD|INVALID_TIMESTAMP).+)"
)
MODULE_NOT_FOUND = "ModuleNotFoundError: No module named"


def translate(error: Exception, checkpoint_location: str) -> TidemillError:
    """Return the Tidemill error for an exception of pyspark or py4j.

    What a worker raised takes precedence over what Java reports about it. `QueryFailed` quotes any
    failure that is not known here.
    """
    if isinstance(error, Py4JNetworkError | ConnectionError) or "does not exist in the JVM" in str(
        error
    ):
        return JvmExited()
    causes = _java_causes(error)
    text = "\n".join([str(error), *causes])
    if match := RECORD_REFUSED.search(text):
        return RecordRefused(match[1] or match[2])
    raised = _last_exception(text)
    if known := parse_worker_error(raised) or _parse_spark(text, causes, checkpoint_location):
        return known
    if match := CHECKPOINT_DAMAGED.search("\n".join([*reversed(causes), str(error)])):
        return CheckpointDamaged(checkpoint_location, match[0].strip(": "))
    # Of a task that failed on another machine only the printed stack trace reaches the driver.
    printed = re.findall(r"(?m)^Caused by: (.+)$", text)
    candidates = [raised, *printed[-1:], *causes[-1:], text, type(error).__name__]
    return QueryFailed(next(filter(None, map(_first_line, candidates))))


def parse_worker_error(text: str, hosts: Sequence[str] = ()) -> TidemillError | None:
    """Parse the end of a worker's traceback; return None if it names no known error.

    `text` is the exception's line and its notes. `hosts` are the machines
    that it came from.
    """
    line, *notes = text.splitlines() or [""]
    match = re.search(rf"{MODULE_NOT_FOUND} '([\w.]+)'", line)
    if match and _driver_has(match[1]):
        return MissingOnExecutors(match[1], hosts)
    if match := re.fullmatch(r"tidemill\.errors\.(?:\w+\.)?(\w+): (.+)", line):
        leaf = getattr(errors, match[1], None)
        if isinstance(leaf, type) and issubclass(leaf, TidemillError):
            return rebuild(leaf, match[2], notes)
    return None


def _driver_has(module: str) -> bool:
    """Tell whether this process, the driver, can import a module."""
    try:
        return find_spec(module) is not None
    except Exception:  # noqa: BLE001 - imports the module's package, which may be a user's code
        return False


def _parse_spark(text: str, causes: list[str], checkpoint_location: str) -> TidemillError | None:
    """Recognise a failure by the words of Spark or Kafka's client, or return None."""
    if match := re.search(r"FAILED_READ_FILE\S* .*? file (\S+?)\.? ", text):
        return InputUnreadable(unquote(match[1]), causes[-1])
    if re.search(r"Partitions Set\(.*\) have been deleted|UnknownTopicOrPartitionException", text):
        return TopicDeleted()
    if re.search(r"failOnDataLoss|KAFKA_DATA_LOSS|OffsetOutOfRange", text):
        return DataLoss(checkpoint_location)
    if re.search(
        r"CONCURRENT_STREAM_LOG_UPDATE|FileAlreadyExistsException.*(offsets|commits)/", text
    ):
        return CheckpointInUse(checkpoint_location)
    if "ArithmeticException: long overflow" in text:
        return TimestampOverflow()
    return None


def _java_causes(error: Exception) -> list[str]:
    """Return the text of each Java exception behind a Python one, the root cause last."""
    # pyspark and py4j keep the Java exception under these names.
    java: Any = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
    causes = []
    while java is not None:
        causes.append(str(java.toString()))
        java = java.getCause()
    return causes


def _last_exception(text: str) -> str:
    """Return the exception of the last Python traceback in a text, its line and notes, or ""."""
    # A one-line message may quote this header; only a header at the end of a line starts a trace.
    _, *traces = re.split(r"(?m)Traceback \(most recent call last\):$", text)
    lines = traces[-1].splitlines() if traces else []
    exception = dropwhile(lambda line: not re.match(r"[A-Za-z_][\w.]*(: |$)", line), lines)
    first = list(islice(exception, 1))
    return "\n".join([*first, *takewhile(lambda line: line.startswith((HINT, PROBLEM)), exception)])


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")
