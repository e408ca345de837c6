"""Run forks of the pool's server, and learn how they ended."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tidemill.models.isolation import child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OOM_SCORE = Path("/proc/self/oom_score_adj")
KILL_FIRST = "1000"


@contextmanager
def killed_first() -> Iterator[None]:
    """Have the kernel kill this process before others if memory is short."""
    before = ""
    with suppress(OSError):
        before = OOM_SCORE.read_text()
        OOM_SCORE.write_text(KILL_FIRST)
    yield
    with suppress(OSError, ValueError):
        OOM_SCORE.write_text(before)


def exit_code(pid: int) -> int:
    """Return how a process ended, once it has: its exit code, or minus a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_member(parent: int, serve: Callable[[], None]) -> NoReturn:
    """Run a process that answers slices, in a fork of the server `parent`; end with it."""
    code = os.EX_SOFTWARE
    try:
        child.die_with_parent(parent)
        os.setpgid(0, 0)  # a group with the helpers that a model forks
        with killed_first():
            serve()
        code = os.EX_OK
    except BaseException:  # noqa: BLE001 - it must not go on as a second server
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # a model may have closed it
                stream.flush()
        os._exit(code)
