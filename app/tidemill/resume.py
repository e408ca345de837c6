"""Find out which lines an earlier run of `tidemill predict` has answered, to go on behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidemill.inference.message import Message

LINE = "tidemill.source.line"


class Letter(msgspec.Struct):
    """What says which line a dead letter is for."""

    headers: dict[str, str]


def done_before(results: Path, dead_letters: Path) -> Callable[[Message], bool]:
    """Return what tells of each message, in the order of the lines, whether it is answered.

    Results have no line numbers, but the order of the lines, and dead letters have their numbers.
    Those of a slice are written before its results, so the results are for the first lines that
    have no dead letter. A line that was not written to its end does not count, and is cut off.

    Raises:
        ValueError: A file is not that of an earlier run.

    """
    dead = {_number(line) for line in _whole_lines(dead_letters)}
    left = sum(1 for _ in _whole_lines(results))

    def is_done(message: Message) -> bool:
        nonlocal left
        if int(dict(message.headers)[LINE] or b"0") in dead:
            return True
        left -= 1
        return left >= 0

    return is_done


def _number(line: bytes) -> int:
    """Return the number of a dead letter's line."""
    try:
        return int(msgspec.json.decode(line, type=Letter).headers[LINE])
    except (msgspec.MsgspecError, KeyError):
        raise ValueError("it has lines that are not dead letters of `tidemill predict`") from None


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, if it exists; at the end, cut off the beginning of one."""
    if not path.exists():
        return
    whole = 0
    with path.open("rb+") as file:
        for line in file:
            if line.endswith(b"\n"):
                whole += len(line)
                yield line
        file.truncate(whole)
