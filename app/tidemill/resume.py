"""Find out which lines earlier runs of `tidemill predict` have answered, to continue after them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import OutputUnusable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.message import Message

LINE = "tidemill.source.line"
HINT = "Name the files of an earlier run, or leave out --resume."


class Result(msgspec.Struct):
    """What every result has."""

    model: str
    error_message: None


class Letter(msgspec.Struct):
    """What says which line a dead letter is for."""

    headers: dict[str, str]


@dataclass(slots=True)
class Earlier:
    """The outcomes of earlier runs: results, and the numbers of the lines with dead letters.

    Results have no line numbers, but the order of the lines. The dead letters of a slice are
    written before its results, so the results are for the first lines that have no dead letter.
    """

    output: Path
    results: int = 0
    dead: set[int] = field(default_factory=set)
    _last: int = 0

    def is_done(self, message: Message) -> bool:
        """Tell of each message, in the order of the lines, whether it has an outcome."""
        self._last = int(dict(message.headers)[LINE] or b"0")
        if self._last in self.dead:
            return True
        self.results -= 1
        return self.results >= 0

    def check_input(self) -> None:
        """Check, once the input has been read, that it has as many lines as there are outcomes.

        Raises:
            OutputUnusable: It has fewer.

        """
        if self.results > 0 or max(self.dead, default=0) > self._last:
            reason = "the files have more outcomes than the input has lines"
            raise OutputUnusable(self.output, reason, "Name the input of the earlier run.")


def read(results: Path, dead_letters: Path) -> Earlier:
    """Read the outcomes of earlier runs; there are none if neither file exists.

    A line that was not written to its end does not count, and is cut off.

    Raises:
        OutputUnusable: A file is not that of an earlier run, or only one exists. Both stay as they
            are.
        OSError: A file cannot be read or cut.

    """
    if not results.exists() and not dead_letters.exists():
        return Earlier(results)
    earlier = Earlier(results)

    def add_result(line: bytes) -> None:
        msgspec.json.decode(line, type=Result)
        earlier.results += 1

    def add_letter(line: bytes) -> None:
        earlier.dead.add(int(msgspec.json.decode(line, type=Letter).headers[LINE]))

    ends = (
        (results, _read_lines(results, "results", add_result)),
        (dead_letters, _read_lines(dead_letters, "dead letters", add_letter)),
    )
    for path, end in ends:
        _cut(path, end)
    return earlier


def _read_lines(path: Path, kind: str, add: Callable[[bytes], None]) -> int:
    """Pass on the whole lines of a file; return where the last one ends.

    Raises:
        OutputUnusable: The file is missing, or its lines are of another kind.

    """
    end = 0
    if not path.exists():
        raise OutputUnusable(path, f"the {kind} of the earlier run are missing", HINT)
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                try:
                    add(line)
                except (ValueError, KeyError):  # a MsgspecError is a ValueError
                    reason = f"it has lines that are not {kind} of `tidemill predict`"
                    raise OutputUnusable(path, reason, HINT) from None
                end += len(line)
            elif not end:
                reason = f"it has no whole line, so it may not be a file of {kind}"
                hint = "If it is that of an earlier run, empty it, and try again."
                raise OutputUnusable(path, reason, hint)
    return end


def _cut(path: Path, end: int) -> None:
    """Cut off what follows the last whole line."""
    if path.stat().st_size > end:
        with path.open("rb+") as file:
            file.truncate(end)
