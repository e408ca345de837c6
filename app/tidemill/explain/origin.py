"""Say where an explained message comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill.dead_letters.letters import DeadLetter


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in words, and as the fields of a document.

    `letter` is the dead letter that was found there, and that holds the message.
    """

    text: str
    place: dict[str, str | int] = field(default_factory=dict)
    letter: DeadLetter | None = None
