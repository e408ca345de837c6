"""Define the errors that turn one message into a dead letter.

The class names are public: headers carry them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidemill.errors.base import HINT, MessageError, describe

if TYPE_CHECKING:
    from collections.abc import Sequence


class NullValue(MessageError):
    """The record has no value (a tombstone)."""

    def __init__(self) -> None:
        super().__init__("the record's value is null")


class InvalidUtf8(MessageError):
    """The value is not UTF-8."""

    def __init__(self, cause: UnicodeDecodeError) -> None:
        formats = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip"}
        likely = formats.get(cause.object[:2])
        guess = f"; it looks like {likely}" if likely else ""
        super().__init__(f"the value is not UTF-8: {cause.reason} at byte {cause.start}{guess}")


class MalformedRow(MessageError):
    """A row of a CSV file is malformed, or has another number of cells than the first row."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the row {problem}")


class InvalidJson(MessageError):
    """The value is not a JSON object."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"the value is not a JSON object: {reason}")


class MissingField(MessageError):
    """A field that the entry reads is absent or null."""

    def __init__(self, field: str, remedy: str = "") -> None:
        super().__init__(f"the field {field!r} is missing or null", remedy)


class WrongType(MessageError):
    """The field that holds the model's input is not text, but the entry's sample is."""

    def __init__(self, field: str, value: str) -> None:
        super().__init__(f"the field {field!r} must be text, not {json_type(value)}")


class NoModel(MessageError):
    """No entry of models.yaml matches the message."""

    def __init__(self, fields: dict[str, str]) -> None:
        values = ", ".join(
            f"{name}={' '.join(value[:200].split())}" for name, value in fields.items()
        )
        super().__init__(f"no entry of models.yaml matches {values}")


class UnknownVariant(MessageError):
    """The message forces a variant that its route does not have."""

    def __init__(self, name: str, route: str, known: Sequence[str]) -> None:
        super().__init__(
            f"{route} has no variant {name[:40]!r}, which the message forces; it has "
            f"{', '.join(known)}"
        )


class InputTooLong(MessageError):
    """The model's input is longer than its entry allows."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"the input has {length} characters, but the model takes at most {limit}")


class InvalidInput(MessageError):
    """The model's input violates its schema: the message names field, expectation and value."""

    def __init__(self, violation: str) -> None:
        super().__init__(violation)


class FeaturesMissing(MessageError):
    """The store has no features for the message's key, or only old ones, and the entry no default.

    `key` is None if the message has no key, and `max_age` unless there is a row that is older.
    """

    def __init__(self, table: str, key: object, max_age: float | None = None) -> None:
        what = f"the key {json.dumps(key, ensure_ascii=False)[:100]}"
        super().__init__(
            f"the table {table!r} has no row for {what}"
            if max_age is None
            else f"the row of the table {table!r} for {what} is older than {max_age:g} s"
        )


class InvalidTime(MessageError):
    """The field with the time as of which features are looked up holds no time."""

    def __init__(self, field: str, value: str) -> None:
        super().__init__(
            f"the field {field!r} must be a time, in ISO 8601 or in milliseconds since 1970, not "
            f"{value[:100]}"
        )


class PredictionFailed(MessageError):
    """The model raised an exception on this input, even alone."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(describe(cause))
        self.__cause__ = cause


class ModelCrashed(MessageError):
    """The model's process ended on this input, even alone."""

    def __init__(self, code: int) -> None:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        super().__init__(f"the model's process ended {how}")


class ModelTimedOut(MessageError):
    """The model did not answer this input in time, even alone."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")


class WrongOutputCount(MessageError):
    """The model returned too few or too many outputs for this input, even alone."""

    def __init__(self, inputs: int, outputs: object) -> None:
        super().__init__(
            f"the model returned {outputs} for {inputs} input(s)",
            "predict_all must return a list with one JSON text for each input.",
        )


class InvalidOutput(MessageError):
    """The model's output is not a single JSON value, or it violates the model's output schema."""

    def __init__(self, reason: object, output: str = "") -> None:
        beginning = f"; it begins with {output[:200]!r}" if output else ""
        super().__init__(
            f"the model's output is not a JSON value: {reason}{beginning}",
            "predict_all must return each output as JSON text, for example json.dumps(output).",
        )

    @classmethod
    def against_schema(cls, violation: str) -> InvalidOutput:
        """Return the error of an output that is JSON, but violates the model's output schema."""
        error = cls.__new__(cls, f"the model's output violates its schema: {violation}")
        error.add_note(f"{HINT}Correct the model, or the schema of its outputs.")
        return error


class ResultTooLarge(MessageError):
    """The result is larger than the output topic allows."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the result has {size} bytes uncompressed, and its topic's compression does not bring "
            f"it below the limit of {limit}"
        )


class KeyRequired(MessageError):
    """The output topic is compacted, so it takes no record without a key."""

    def __init__(self) -> None:
        super().__init__("the message has no key, but the output topic is compacted and needs one")


def json_type(text: str) -> str:
    """Name the type of a JSON text as JSON does (RFC 8259, section 3), by its first character."""
    names = {
        "n": "null",
        "t": "boolean",
        "f": "boolean",
        "{": "object",
        "[": "array",
        '"': "string",
    }
    return names.get(text.lstrip()[:1], "number")
