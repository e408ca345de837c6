"""Describe what a run ends with. A task's process imports this, but no database."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tidemill.errors import TidemillError, describe

if TYPE_CHECKING:
    from typing import Self

MAX_ERROR = 1000


class Failure(NamedTuple):
    """Why a run failed, and what to do about it."""

    error: str
    hint: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return what an error says, ours or a job's own."""
        if isinstance(error, TidemillError):
            return cls(f"{type(error).__name__}: {error.message}", error.hint)
        hint = " ".join(getattr(error, "__notes__", ()))
        return cls(describe(error)[:MAX_ERROR], hint or "The worker's log has the traceback.")


# The result, as JSON, or why there is none.
Outcome: TypeAlias = "bytes | Failure"


class Progress(NamedTuple):
    """How far a run is, from 0 to 1, with a phrase, and a new best result so far, as JSON."""

    done: float = 0.0
    phrase: str = ""
    interim: bytes | None = None


def storable(text: str) -> str:
    """Return a text without what PostgreSQL cannot hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
