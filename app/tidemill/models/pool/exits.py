"""Ask the pool how one of its processes ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.models.isolation import child

if TYPE_CHECKING:
    from tidemill.models.pool.start import PoolAddress

# Seconds to wait until the pool knows how one of its processes ended.
END_KNOWN_S = 5.0
POLL_S = 0.02


class ProcessEnded(Exception):
    """A process of the pool ended before it answered.

    `code` is an exit code, minus a signal, or TIMED_OUT; `seconds` is how long the process took.
    """

    def __init__(self, code: int, seconds: float) -> None:
        super().__init__(code, seconds)
        self.code = code
        self.seconds = seconds


def how_ended(address: PoolAddress, greeting: child.Message) -> int | None:
    """Return the code of the process that sent a greeting; None if its server has ended."""
    question = child.encode({"ended": greeting["pid"]})
    give_up = time.monotonic() + END_KNOWN_S
    while time.monotonic() < give_up:
        server_ended = _has_ended(greeting["server"])  # before the question
        try:
            with address.connect() as connection:
                child.send(connection, question)
                now, _ = child.receive(connection)
                answer, _ = child.receive(connection)
        except (OSError, EOFError):
            return None
        if now["pool"] != greeting["pool"]:
            return None
        code: int | None = answer["code"]
        if code is not None or server_ended:
            return code
        time.sleep(POLL_S)
    return None


def _has_ended(pid: int) -> bool:
    """Return whether a process has ended, even if its parent has not noticed: it has no command."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
