"""Time look-ups in this process, as often as the parent asks."""

from __future__ import annotations

import itertools
import json
import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.contenders import stored_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    LookUp: TypeAlias = Callable[[list[int]], Sized]


def answer(look_up: LookUp, rows: int) -> None:
    """Read lines with a number of keys and of seconds; answer each with what look-ups took.

    A line of JSON has the seconds of each look-up, and the CPU time of all.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        count, seconds = json.loads(line)
        keys = stored_rows.wanted(rows, count)
        found = len(look_up(keys[0]))
        assert found == count, f"{found} rows for {count} keys"
        print(json.dumps(times(look_up, keys, seconds)), flush=True)


def times(
    call: Callable[[Any], object], arguments: Sequence[Any], seconds: float
) -> tuple[list[float], float]:
    """Call with one argument after the other for some seconds; return what the calls took."""
    taken: list[float] = []
    end, used = time.perf_counter() + seconds, time.process_time()
    for argument in itertools.cycle(arguments):
        start = time.perf_counter()
        call(argument)
        now = time.perf_counter()
        taken.append(now - start)
        if now > end:
            break
    return taken, time.process_time() - used
