"""Get the same predictions in several ways: from a batch, by a look-up, on demand, and by a task.

Run it from the repository's root: `python -m examples.ways.run [WAY …]`. It needs no broker.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev import ROOT
from dev.demo.screen import make_console
from examples.ways.shell import CommandFailed, Shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from examples.ways.shell import Ask

FILES = Path(__file__).parent
WORK = ROOT / ".tidemill" / "ways"
POLL_S = 1.0
# The risk of each payment, whichever way it is asked for.
RISKS = {"p1": 0.113, "p2": 0.918, "p3": 0.118}


def main() -> int:
    """Return 0 if each way gives the right answers."""
    console = make_console()
    ways = sys.argv[1:] or [*WAYS]
    if unknown := [way for way in ways if way not in WAYS]:
        print(f"there is no way {unknown[0]}: name some of {', '.join(WAYS)}")
        return 2
    try:
        return run(console, WORK, ways)
    except (CommandFailed, OSError) as error:
        print(f"failed: {error}")
        return 1


def run(console: Console, folder: Path, ways: list[str]) -> int:
    """Run some ways in an empty folder; return how many gave wrong answers."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        FILES, folder, ignore=shutil.ignore_patterns("__pycache__", "run.py", "shell.py")
    )
    shell = Shell(console, folder)
    shell.run("tidemill store load customers customers.csv")
    wrong = []
    for way in ways:
        console.rule(f"[bold]{way}", align="left")
        answers = WAYS[way](shell)
        wrong += [way] * (answers != RISKS)
    console.print(f"wrong answers: {', '.join(wrong)}" if wrong else "All ways agree.")
    return len(wrong)


def batch(shell: Shell) -> dict[str, float]:
    """Answer a file of payments, in advance."""
    shutil.rmtree(shell.folder / "scored", ignore_errors=True)
    shell.run("tidemill batch --input payments.jsonl --output scored")
    printed = shell.run("cat scored/results/*")
    return {row["payment"]: row["risk"] for row in map(json.loads, printed.splitlines())}


def look_up(shell: Shell) -> dict[str, float]:
    """Load the answers of a batch into the store, and ask a server for them."""
    batch(shell)
    shell.run("tidemill store load risks scored/results")
    with shell.serving() as ask:
        found = ask("/v1/features/risks", {"keys": [*RISKS]})
    return {key: row["values"]["risk"] for key, row in zip(RISKS, found["rows"], strict=True)}


def on_demand(shell: Shell) -> dict[str, float]:
    """Ask a server to predict; the request has all features."""
    payments = {
        "p1": {"customer": "ada", "amount": 24, "country": "FR", "usual": 25.5, "home": "FR"},
        "p2": {"customer": "ben", "amount": 410, "country": "US", "usual": 120, "home": "DE"},
        "p3": {"customer": "cleo", "amount": 7.9, "country": "IT", "usual": 8, "home": "IT"},
    }
    with shell.serving() as ask:
        return dict(zip(payments, outputs(ask, [*payments.values()]), strict=True))


def with_features(shell: Shell) -> dict[str, float]:
    """Ask a server to predict; it looks the customer's features up."""
    payments = list(map(json.loads, (FILES / "payments.jsonl").read_text().splitlines()))
    with shell.serving() as ask:
        return dict(zip(RISKS, outputs(ask, payments), strict=True))


def task(shell: Shell) -> dict[str, float]:
    """Ask a server to predict later; fetch the result by the id of the run."""
    payments = list(map(json.loads, (FILES / "payments.jsonl").read_text().splitlines()))
    with shell.serving() as ask:
        run = ask("/v1/tasks/predict", {"inputs": payments})
        while run["ended"] is None:
            time.sleep(POLL_S)
            run = ask(f"/v1/tasks/{run['id']}")
        result = ask(f"/v1/tasks/{run['id']}/result")
    return dict(zip(RISKS, result["outputs"], strict=True))


def outputs(ask: Ask, payments: list[dict[str, Any]]) -> list[float]:
    """Return the outputs of the model for some payments."""
    answer: dict[str, list[float]] = ask("/risk", {"inputs": payments})
    return answer["outputs"]


WAYS: dict[str, Callable[[Shell], dict[str, float]]] = {
    "batch": batch,
    "look-up": look_up,
    "on-demand": on_demand,
    "with-features": with_features,
    "task": task,
}


if __name__ == "__main__":
    sys.exit(main())
