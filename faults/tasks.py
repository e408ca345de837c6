"""`make faults-tasks`: kill what runs long tasks at random moments, and check how each task ends.

In each round, a client submits tasks and cancels some, two workers run them, and one thing after
another is killed: workers, tasks, the client, the server, the database. Others fill the disk, or
stop a worker for longer than the take-over time. A checker that knows nothing of them looks on.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from dev import ROOT
from faults import results_log
from faults.figures import percentile
from faults.task_round import Round, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

EACH: Final = 10  # kills in a round
COMMON: Final = ("worker", "task", "worker, frozen", "worker's group", "client")
# What is killed in the rounds of each database, in turn; with `server` the client speaks HTTP.
STRIKES: Final = {
    "sqlite": (*COMMON, "worker", "disk, full"),
    "postgresql": (*COMMON, "database", "worker", "disk, full"),
}
SERVED: Final = "server"
KEPT: Final = ROOT / ".tidemill" / "faults"


def plan(kills: int, *, serve: bool = True) -> Iterator[tuple[str, list[str]]]:
    """Yield the database of each round, and what is killed, in random order."""
    turns = {kind: cycle(strikes) for kind, strikes in STRIKES.items()}
    for number in range(-(-kills // EACH)):
        kind = list(STRIKES)[number % len(STRIKES)]
        count = min(EACH, kills - number * EACH)
        # Two rounds of four have a server, one on each database.
        servers = -(-count // 3) if serve and number % 4 > 1 else 0
        strikes = [SERVED] * servers + list(islice(turns[kind], count - servers))
        random.shuffle(strikes)
        yield kind, strikes


def campaign(
    rounds_to_play: Iterable[tuple[str, list[str]]], keep: Callable[[Round], object]
) -> list[Round]:
    """Run rounds, and keep each; the folder of one with problems stays."""
    rounds = []
    for kind, strikes in rounds_to_play:
        folder = Path(tempfile.mkdtemp(prefix="tidemill-tasks-"))
        try:
            found = play(folder, kind, strikes)
        except Exception:  # noqa: BLE001 - the next round may tell more
            found = Round(kind, "", problems=[traceback.format_exc()])
        if found.problems:
            shutil.copytree(folder, KEPT / folder.name, ignore=shutil.ignore_patterns("database"))
        shutil.rmtree(folder)
        keep(found)
        rounds.append(found)
    return rounds


def table(rounds: Sequence[Round]) -> Table:
    """Return a table with a row for each kind of kill."""
    drawn = Table(title="Tasks while something was killed")
    for name in ("killed", "kills", "taken over", "median", "p95", "slowest"):
        drawn.add_column(name, justify="left" if name == "killed" else "right")
    kills = sum((each.kills for each in rounds), Counter[str]())
    for kind, count in kills.items():
        times = [seconds for each in rounds for name, seconds in each.recoveries if name == kind]
        shares = [f"{percentile(times, share):.1f} s" for share in (0.5, 0.95, 1)] if times else []
        drawn.add_row(kind, str(count), str(len(times)), *shares)
    return drawn


def entry(found: Round) -> dict[str, Any]:
    """Return what the results file keeps of a round."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": round(os.getloadavg()[1], 1),
        "database": found.database,
        "door": found.door,
        "kills": dict(found.kills),
        "tasks": dict(found.tasks),
        "recoveries": [[kind, round(seconds, 2)] for kind, seconds in found.recoveries],
        "seconds": round(found.seconds, 1),
        "problems": found.problems,
    }


def main() -> None:
    """Run the campaign; add each round to the results file as soon as it ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    arguments = parser.parse_args()
    show = partial(Console().print, soft_wrap=True, highlight=False)
    done = 0

    def keep(found: Round) -> None:
        nonlocal done
        done += found.kills.total()
        show(f"{datetime.now(UTC):%H:%M} {done} of {arguments.kills} kills; {found}")
        results_log.add("tasks", entry(found))

    rounds = campaign(plan(arguments.kills), keep)
    show(table(rounds))
    sys.exit(any(each.problems for each in rounds))


if __name__ == "__main__":
    main()
