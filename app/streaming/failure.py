"""Give what Spark, Java or a worker raised its name here."""

from __future__ import annotations

import re
from typing import Any

from py4j.protocol import Py4JNetworkError

from app import errors
from app.errors import (
    CheckpointDamaged,
    CheckpointInUse,
    DataLoss,
    JavaEnded,
    QueryFailed,
    TidemillError,
    TimestampUnreadable,
)

# How Spark says that it cannot read an entry of its checkpoint, or misses one.
DAMAGED = re.compile(
    r"(?m)^.*(?:Failed to read log file|MALFORMED_LOG_FILE|CHECKPOINT_MISSING_METADATA_FILE"
    r"|: batch \d+ doesn't exist|Expected e\.g\. \{|(?:^|: )com\.fasterxml\.jackson\.).*$"
)


def translate(error: Exception, checkpoint_location: str) -> TidemillError:
    """Return the error by its name here: what a worker raised, lost data, or Spark's own words."""
    if isinstance(error, Py4JNetworkError | ConnectionError) or "does not exist in the JVM" in str(
        error
    ):
        return JavaEnded()
    causes = _java_causes(error)
    said = "\n".join([str(error), *causes])
    raised = _last_of_traceback(said)
    if found := re.fullmatch(r"app\.errors\.(\w+): (.+)", raised):
        leaf = getattr(errors, found[1], None)
        if isinstance(leaf, type) and issubclass(leaf, TidemillError):
            # Built on the worker; here only its words are left.
            return leaf.__new__(leaf, found[2])
    if named := _named(said, checkpoint_location):
        return named
    if found := DAMAGED.search("\n".join([*reversed(causes), str(error)])):
        return CheckpointDamaged(checkpoint_location, found[0].strip(": "))
    # What failed in a task on another machine is there as printed text only.
    printed = re.findall(r"(?m)^Caused by: (.+)$", said)
    candidates = [raised, *printed[-1:], *causes[-1:], said, type(error).__name__]
    return QueryFailed(next(filter(None, map(_first_line, candidates))))


def _named(said: str, checkpoint_location: str) -> TidemillError | None:
    """Return what Spark's words stand for, None where they have no better name here."""
    if re.search(r"failOnDataLoss|KAFKA_DATA_LOSS|OffsetOutOfRange", said):
        return DataLoss(checkpoint_location)
    if re.search(
        r"CONCURRENT_STREAM_LOG_UPDATE|FileAlreadyExistsException.*(offsets|commits)/", said
    ):
        return CheckpointInUse(checkpoint_location)
    if "ArithmeticException: long overflow" in said:
        return TimestampUnreadable()
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
