"""Define the base class of all errors and its two main branches, and describe exceptions."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind: TypeAlias = Literal["configuration", "fault", "message"]

MAX_MESSAGE = 160  # characters of `message`
HINT = "hint: "
PROBLEM = "- "

# The most of a traceback that goes into the log or to another process.
MAX_FRAMES, MAX_LINES, MAX_LINE = 30, 300, 1000


class TidemillError(Exception):
    """An error that Tidemill raises on purpose.

    Its `kind` tells a program or a server what to answer: a `fault` may go away by itself, and a
    wrong `configuration` does not; a wrong `message` concerns only that message. `str()`
    gives the whole text of what is wrong. The hint is a note (PEP 678), so that tracebacks show it.
    """

    kind: ClassVar[Kind] = "fault"

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        if hint:
            self.add_note(HINT + one_line(hint))

    @property
    def message(self) -> str:
        """What is wrong: one line of at most 160 characters."""
        text = one_line(str(self))
        if len(text) <= MAX_MESSAGE:
            return text
        # The beginning says what is wrong, the end why; the middle is often a long path or name.
        half = MAX_MESSAGE // 2
        return f"{text[: half - 1].rstrip()}…{text[-half:].lstrip()}"

    @property
    def hint(self) -> str:
        """What to do about it, in one line; with the full text if `message` had to cut it."""
        notes = [note for note in getattr(self, "__notes__", []) if note.startswith(HINT)]
        hint = " ".join(note.removeprefix(HINT) for note in notes)
        text = one_line(str(self))
        if len(text) <= MAX_MESSAGE or self.problems:
            return hint
        return f"{hint} In full: {text}".strip()

    @property
    def problems(self) -> list[str]:
        """All problems, if there are several; the message has only their number."""
        notes = getattr(self, "__notes__", [])
        return [note.removeprefix(PROBLEM) for note in notes if note.startswith(PROBLEM)]

    def __reduce__(self) -> tuple[object, ...]:
        cause = None if self.__cause__ is None else trace(self.__cause__)
        return rebuild, (type(self), str(self), getattr(self, "__notes__", []), cause)


class ConfigurationError(TidemillError):
    """The settings, a file or the topics are wrong. A restart cannot help; the exit code is 2."""

    kind = "configuration"


class SeveralProblems(ConfigurationError):
    """One or more problems in a configuration, reported together.

    If there are several, the text has their number, and each is a note.
    """

    def __init__(self, subject: str, problems: Iterable[object], hint: str) -> None:
        listed = [one_line(str(problem)) for problem in problems]
        count = len(listed)
        super().__init__(
            f"{subject}: {listed[0]}" if count == 1 else f"{subject}: {count} problems", hint
        )
        if count > 1:
            for problem in listed:
                self.add_note(PROBLEM + problem)


class MessageError(TidemillError):
    """One message cannot be processed. It becomes a dead letter; the others are untouched.

    The name of the class and the text go into the dead letter's headers.
    """

    kind = "message"


class RemoteTraceback(Exception):
    """An exception of another process. The text is its traceback.

    `description` is that exception as `describe` returns it.
    """

    description = ""

    def __init__(self, text: str, description: str = "") -> None:
        super().__init__(text)
        self.description = description


def rebuild(
    error_type: type[TidemillError], text: str, notes: list[str], cause: str | None = None
) -> TidemillError:
    """Recreate an error from its text and its notes, without calling its constructor.

    `cause` is the traceback of the exception that caused it in another process.
    """
    error = error_type.__new__(error_type, text)
    for note in notes:
        error.add_note(note)
    if cause is not None:
        error.__cause__ = RemoteTraceback(cause)
    return error


def log_fields(error: BaseException) -> dict[str, object]:
    """Return the hint and the problems of an error, if it has any, as fields of a log record."""
    if not isinstance(error, TidemillError):
        return {}
    fields = {"hint": error.hint, "problems": error.problems}
    return {name: value for name, value in fields.items() if value}


def one_line(text: str) -> str:
    """Return a text with each run of whitespace replaced by one space."""
    return " ".join(text.split())


def root(error: BaseException) -> BaseException:
    """Return the innermost exception, without the ones that were raised while it was handled."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def describe(cause: BaseException) -> str:
    """Return an exception as one line: its type and its text."""
    if isinstance(cause, RemoteTraceback):
        return cause.description
    try:
        text = one_line(str(cause))
    except Exception:  # noqa: BLE001 - a model's exception may fail to print itself
        text = "(it does not print)"
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__


def trace(cause: BaseException) -> str:
    """Return an exception's traceback, cut if it is long.

    Release the objects that its frames hold: a model may hold much memory.
    """
    if isinstance(cause, RemoteTraceback):
        return str(cause)
    traceback.clear_frames(cause.__traceback__)
    try:
        text = "".join(traceback.format_exception(cause, limit=-MAX_FRAMES))
    except Exception as error:  # noqa: BLE001 - a model's exception may fail to print itself
        text = f"{type(cause).__name__} has no traceback: {describe(error)}"
    return "\n".join(line[:MAX_LINE] for line in text.splitlines()[:MAX_LINES])
