"""Define the predictor's values: a Message goes in, a Prediction or a Failure comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from tidemill.errors import MessageError

Header: TypeAlias = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Message:
    """One input record, from any source.

    Attributes that a source does not have are None: a file has no partition. `timestamp` is in
    milliseconds since the epoch, as in Kafka.
    """

    value: bytes | None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant of a route that answered, and whether the message forced it."""

    variant: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """A result: the JSON to write, and the `name:version` of the model that made it.

    `assignment` is None if the message's route has only one model.
    """

    value: bytes
    model: str
    assignment: Assignment | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message has no result, and the model's `name:version` if the message was routed.

    `assignment` is None if no variant was chosen.
    """

    error: MessageError
    model: str | None = None
    assignment: Assignment | None = None

    @property
    def error_class(self) -> str:
        """The error's class name, as it appears in headers and metrics."""
        return type(self.error).__name__


Outcome: TypeAlias = Prediction | Failure


class OutcomeRecord(NamedTuple):
    """The record that is written for an outcome."""

    outcome: Outcome
    key: bytes | None
    value: bytes | None
    headers: list[Header]
