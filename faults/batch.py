"""`make faults-batch`: kill batches at random moments, start them again, and check the output.

Each round runs one batch in spite of some kills: of the whole process group, of the command alone,
or of a model process. Meanwhile a reader watches the output folder, which must appear complete.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console
from rich.table import Table

from dev.pipeline.job_process import JobProcess, descendants, kill, pool_processes
from faults import batch_files, results_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# Where each engine is killed: after up to so many seconds, unless it publishes earlier.
LONGEST_S = {"local": 6.0, "spark": 25.0}
ROWS = 9000
PART_ROWS = 300
SECONDS_PER_ROW = 0.0008
TARGETS = ("group", "group", "command", "model process")
FORMATS = {"jsonl": ("jsonl", "csv"), "csv": ("parquet", "csv"), "parquet": ("delta", "parquet")}
IN_USE = 2  # the exit code if another run, or what a killed command left, still writes the output
END_S = 600


@dataclass
class Round:
    """A batch that was killed: what it read and wrote, the kills, and what was wrong afterwards."""

    engine: str
    source: str
    target: str
    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    rows: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return a line for people."""
        kills = ", ".join(f"{count} of the {name}" for name, count in self.kills.items())
        found = "; ".join(self.problems[:3]) or "each row has one outcome"
        return (
            f"{self.engine}, {self.source} to {self.target}: kills: {kills or 'none'}; "
            f"{self.runs} runs, {self.rows:,} rows, {self.seconds:.0f} s: {found}"
        )


class Reader:
    """Watch an output folder; whatever is there must stay as it is."""

    def __init__(self, folder: Path) -> None:
        """Begin to watch."""
        self._folder = folder
        self._seen: dict[str, int] | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while self._seen is None and not self._done.wait(0.002):
            if self._folder.exists():
                self._seen = batch_files.listing(self._folder)

    def close(self) -> list[str]:
        """Stop; return how the output that appeared differs from what there is now."""
        self._done.set()
        self._thread.join()
        now = batch_files.listing(self._folder)
        return [] if self._seen in (None, now) else ["the output appeared before it was complete"]


def play(folder: Path, engine: str, source: str, target: str, kills: int) -> Round:
    """Run a batch until it ends, and kill it some times."""
    found = Round(engine, source, target, rows=ROWS)
    batch_files.write(source, folder / "in", found.rows)
    (folder / "models.yaml").write_text(yaml.safe_dump({"models": [model()]}))
    reader, begin = Reader(folder / "out"), time.monotonic()
    left = kills
    while not (folder / "out").exists():
        assert time.monotonic() - begin < END_S + 60 * kills, f"{found} does not end"
        with start(folder, found) as job:
            found.runs += 1
            while left and run_for_a_while(job, LONGEST_S[engine]):
                left -= 1
                struck = random.choice(TARGETS)  # noqa: S311 - no secret
                if strike(job, struck):
                    found.kills[struck] += 1
                if struck != "model process":
                    break
            code = job.wait(END_S)
            if code not in (0, IN_USE, -9):
                found.problems.append(f"exit code {code}: {job.output[-300:]}")
                break
            if code == IN_USE:
                time.sleep(0.5)
    found.problems += reader.close()
    if (folder / "out").exists():
        found.problems += batch_files.problems(folder / "out", target, found.rows)
    found.seconds = time.monotonic() - begin
    return found


def model() -> dict[str, Any]:
    """Return the entry of the model that answers."""
    return {
        "name": "capitals",
        "version": "1",
        "adapter": "faults.cheap_model:Cheap",
        "options": {"seconds": SECONDS_PER_ROW},
        "sample": "a",
        "payload": "text",
        "id_field": "id",
        "result": "out",
    }


def start(folder: Path, found: Round) -> JobProcess:
    """Start the command."""
    settings = {"MODELS": str(folder / "models.yaml"), "POOL__PROCESSES": "1"}
    return JobProcess(
        folder,
        {f"TIDEMILL__{name}": value for name, value in settings.items()},
        *("batch", "--input", f"{found.source}:in", "--output", f"{found.target}:out"),
        *("--engine", found.engine, "--part-rows", str(PART_ROWS)),
        launcher=(sys.executable, "-m", "tidemill"),
    )


def run_for_a_while(job: JobProcess, longest: float) -> bool:
    """Wait for a random time; return whether the command still runs."""
    end = time.monotonic() + random.uniform(0, longest)  # noqa: S311 - no secret
    while time.monotonic() < end and job.process.poll() is None:
        if "publishing" in job.output:
            time.sleep(random.uniform(0, 0.1))  # noqa: S311 - no secret
            break
        time.sleep(0.01)
    return job.process.poll() is None


def strike(job: JobProcess, target: str) -> bool:
    """Kill with SIGKILL; return whether there was something to kill."""
    pid = job.process.pid
    if target == "model process":
        pool = pool_processes(pid)
        kill(pool[-1:])
        return bool(pool)
    others = list(descendants(pid)) if target == "group" else []
    kill([pid, *others])
    return True


def plan(kills: int, engines: Sequence[str], each: int = 10) -> Iterator[tuple[str, str, str, int]]:
    """Yield the engine, the formats and the number of kills of each round."""
    pairs = cycle([(source, target) for source, out in FORMATS.items() for target in out])
    for engine, (source, target) in zip(cycle(engines), pairs, strict=False):
        if kills <= 0:
            return
        yield engine, source, target, min(each, kills)
        kills -= each


def campaign(
    rounds_to_play: Iterable[tuple[str, str, str, int]], keep: Callable[[Round], object]
) -> list[Round]:
    """Run rounds, and keep each."""
    rounds = []
    for engine, source, target, kills in rounds_to_play:
        with tempfile.TemporaryDirectory() as folder:
            found = play(Path(folder), engine, source, target, kills)
        keep(found)
        rounds.append(found)
    return rounds


def table(rounds: Sequence[Round]) -> Table:
    """Return a table with a row for each round."""
    drawn = Table(title="Batches that were killed and started again")
    for name in ("engine", "from", "to", "kills", "runs", "rows", "problems"):
        drawn.add_column(name, justify="left" if name in {"engine", "from", "to"} else "right")
    for each in rounds:
        drawn.add_row(
            each.engine, each.source, each.target, str(each.kills.total()), str(each.runs),
            f"{each.rows:,}", str(len(each.problems)),
        )  # fmt: skip
    return drawn


def entry(found: Round) -> dict[str, Any]:
    """Return what the results file keeps of a round."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": round(os.getloadavg()[1], 1),
        "engine": found.engine,
        "from": found.source,
        "to": found.target,
        "kills": dict(found.kills),
        "runs": found.runs,
        "rows": found.rows,
        "seconds": round(found.seconds, 1),
        "problems": found.problems,
    }


def main() -> None:
    """Run the campaign; add each round to the results file as soon as it ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--engine", choices=("local", "spark"), action="append")
    arguments = parser.parse_args()
    show = partial(Console().print, soft_wrap=True, highlight=False)
    # Five engines and six pairs of formats: each engine gets each pair in its turn.
    engines = arguments.engine or ["local", "local", "local", "local", "spark"]

    def keep(found: Round) -> None:
        show(str(found))
        results_log.add("batches", entry(found))

    rounds = campaign(plan(arguments.kills, engines), keep)
    show(table(rounds))
    sys.exit(any(each.problems for each in rounds))


if __name__ == "__main__":
    main()
