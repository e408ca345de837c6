"""Give what Spark, Java or a worker raised its name here."""

from __future__ import annotations

import re
from importlib.util import find_spec
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

if TYPE_CHECKING:
    from collections.abc import Sequence

# How Spark says that it cannot read an entry of its checkpoint, or misses one.
DAMAGED = re.compile(
    r"(?m)^.*(?:Failed to read log file|MALFORMED_LOG_FILE|CHECKPOINT_MISSING_METADATA_FILE"
    r"|: batch \d+ doesn't exist|Expected e\.g\. \{|(?:^|: )com\.fasterxml\.jackson\.).*$"
)
# How Java's client and librdkafka say that a topic does not take a record.
REFUSED = re.compile(
    r"org\.apache\.kafka\.common\.(?:errors\.)?"
    r"((?:RecordTooLarge|RecordBatchTooLarge|InvalidRecord|InvalidTimestamp)Exception: .+)"
    r"|TransactionFailed: (.+code="
    r"(?:MSG_SIZE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_RECORD|INVALID_TIMESTAMP).+)"
)
# How Python says that it finds no module of some name.
MISSING = "ModuleNotFoundError: No module named"


def translate(error: Exception, checkpoint_location: str) -> TidemillError:
    """Return the error by its name here: what a worker raised, lost data, or Spark's own words."""
    if isinstance(error, Py4JNetworkError | ConnectionError) or "does not exist in the JVM" in str(
        error
    ):
        return JvmExited()
    causes = _java_causes(error)
    said = "\n".join([str(error), *causes])
    if found := REFUSED.search(said):
        return RecordRefused(found[1] or found[2])
    raised = _last_of_traceback(said)
    if named := raised_on_worker(raised) or _named(said, causes, checkpoint_location):
        return named
    if found := DAMAGED.search("\n".join([*reversed(causes), str(error)])):
        return CheckpointDamaged(checkpoint_location, found[0].strip(": "))
    # What failed in a task on another machine is there as printed text only.
    printed = re.findall(r"(?m)^Caused by: (.+)$", said)
    candidates = [raised, *printed[-1:], *causes[-1:], said, type(error).__name__]
    return QueryFailed(next(filter(None, map(_first_line, candidates))))


def raised_on_worker(line: str, hosts: Sequence[str] = ()) -> TidemillError | None:
    """Return the error that the last line of a worker's traceback names, or None.

    Only its words are left of an error that was built on a worker. `hosts` names the machines that
    it came from.
    """
    found = re.search(rf"{MISSING} '([\w.]+)'", line)
    if found and _is_here(found[1]):
        return MissingOnExecutors(found[1], hosts)
    if found := re.fullmatch(r"tidemill\.errors\.(?:\w+\.)?(\w+): (.+)", line):
        leaf = getattr(errors, found[1], None)
        if isinstance(leaf, type) and issubclass(leaf, TidemillError):
            return rebuild(leaf, found[2], [])
    return None


def _is_here(module: str) -> bool:
    """Tell whether this process, the driver, can import a module."""
    try:
        return find_spec(module) is not None
    except Exception:  # noqa: BLE001 - it imports the package around the module: a user's code
        return False


def _named(said: str, causes: list[str], checkpoint_location: str) -> TidemillError | None:
    """Return what Spark's words stand for, None where they have no better name here."""
    if found := re.search(r"FAILED_READ_FILE\S* .*? file (\S+?)\.? ", said):
        return InputUnreadable(unquote(found[1]), causes[-1])
    if re.search(r"Partitions Set\(.*\) have been deleted|UnknownTopicOrPartitionException", said):
        return TopicDeleted()
    if re.search(r"failOnDataLoss|KAFKA_DATA_LOSS|OffsetOutOfRange", said):
        return DataLoss(checkpoint_location)
    if re.search(
        r"CONCURRENT_STREAM_LOG_UPDATE|FileAlreadyExistsException.*(offsets|commits)/", said
    ):
        return CheckpointInUse(checkpoint_location)
    if "ArithmeticException: long overflow" in said:
        return TimestampOverflow()
    return None


def _java_causes(error: Exception) -> list[str]:
    """Return what each Java exception behind a Python one says, the root last."""
    # pyspark and py4j keep the Java exception under these names.
    java: Any = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
    causes = []
    while java is not None:
        causes.append(str(java.toString()))
        java = java.getCause()
    return causes


def _last_of_traceback(text: str) -> str:
    """Return the line that names the exception of the last Python traceback in a text, or ""."""
    # A message, of one line, may quote another traceback: only what ends its line begins one.
    _, *traces = re.split(r"(?m)Traceback \(most recent call last\):$", text)
    lines = traces[-1].splitlines() if traces else []
    return next((line for line in lines if re.match(r"[A-Za-z_][\w.]*(: |$)", line)), "")


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")
