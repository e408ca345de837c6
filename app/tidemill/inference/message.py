"""The values that go through the predictor: a Message in, a Prediction or a Failure out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tidemill.errors import MessageError

Header: TypeAlias = tuple[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Message:
    """One record as it came, whatever brought it.

    What a source does not know stays None: a file has no partition. `timestamp` is in milliseconds
    since the epoch, as Kafka's own.
    """

    value: bytes | None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A message's result: the envelope as JSON bytes, and the `name:version` that answered."""

    value: bytes
    model: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message has no result, and the `name:version` where one was chosen."""

    error: MessageError
    model: str | None = None

    @property
    def error_class(self) -> str:
        """The error's name, as headers and metrics carry it."""
        return type(self.error).__name__


Outcome: TypeAlias = Prediction | Failure
