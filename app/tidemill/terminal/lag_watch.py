"""Read the lag repeatedly and show it."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.live import Live

from tidemill.errors import BrokerUnreachable
from tidemill.terminal.lag_json import lag_document
from tidemill.terminal.lag_table import lag_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from tidemill.kafka.lag import LagSnapshot

# Seconds over which a watch computes its rates.
WINDOW_S = 60.0
# Lines that hold no partition: title, header, total, borders and caption.
FRAME = 15


@dataclass(frozen=True, slots=True)
class LagSample:
    """The newest snapshot, an older one to compare it with, and the error of the last reading."""

    now: LagSnapshot
    then: LagSnapshot | None = None
    error: str | None = None


def samples(
    read: Callable[[], LagSnapshot], every: float, pause: Callable[[float], None] = time.sleep
) -> Iterator[LagSample]:
    """Yield a reading every so many seconds, with the oldest snapshot of the last minute.

    While the broker is unreachable, yield the last snapshot again, with the reason.

    Raises:
        TidemillError: The first reading failed, or the broker refuses.

    """
    seen = deque([read()])
    yield LagSample(seen[0])
    while True:
        pause(every)
        try:
            seen.append(read())
        except BrokerUnreachable as error:
            yield LagSample(seen[-1], seen[0], error.message)
            continue
        while len(seen) > 2 and seen[-1].time - seen[0].time > WINDOW_S:  # noqa: PLR2004 - a pair
            seen.popleft()
        yield LagSample(seen[-1], seen[0])


def once(
    console: Console,
    group: str,
    read: Callable[[], LagSnapshot],
    *,
    every: float,
    as_json: bool,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Read the lag twice, to compute rates, and show the second reading."""
    with nullcontext() if as_json else console.status(f"reading twice, {every:g} s apart …"):
        then = read()
        pause(every)
        seen = LagSample(read(), then)
    if as_json:
        _print_json(console, group, seen)
    else:
        console.print(lag_table(group, seen.now, seen.then))


def watch(
    console: Console,
    group: str,
    read: Callable[[], LagSnapshot],
    *,
    every: float,
    as_json: bool,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Show each reading until Ctrl-C, as a table (redrawn in a terminal) or a line of JSON."""
    live = console.is_terminal and not as_json
    with (
        suppress(KeyboardInterrupt),  # Ctrl-C ends the watch
        Live(console=console, auto_refresh=False) if live else nullcontext() as drawn,
    ):
        for seen in samples(read, every, pause):
            if as_json:
                _print_json(console, group, seen)
                continue
            max_rows = max(1, console.height - FRAME) if live else None
            table = lag_table(group, seen.now, seen.then, error=seen.error, max_rows=max_rows)
            if drawn:
                drawn.update(table, refresh=True)
            else:
                console.print(table)


def _print_json(console: Console, group: str, seen: LagSample) -> None:
    console.out(json.dumps(lag_document(group, seen.now, seen.then, error=seen.error)))
