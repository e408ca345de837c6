"""`make faults`: kill a running job hundreds of times and check its output.

Each finished round is added to docs/faults.json; Ctrl-C loses only the current round.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dev import ROOT
from dev.kafka.broker import Broker
from dev.kafka.distribution import fetch_kafka
from dev.kafka.topics import create_topic
from dev.pipeline.pipeline import Pipeline
from dev.pipeline.records import INPUT_LIMIT
from faults import results_log
from faults.kills import Kill, plan
from faults.rounds import PARTITIONS, Round

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
FOLDER = ROOT / ".tidemill" / "faults"
KILLS_A_ROUND = 25
# Of the kills in both modes.
EXACTLY_ONCE_SHARE = 0.75
# Every fifth round runs on Spark's standalone cluster.
CLUSTER_EVERY = 5
OUTPUT_LIMIT = {"max.message.bytes": str(INPUT_LIMIT + 65536)}


@dataclass(frozen=True, slots=True)
class Stage:
    """A planned round."""

    mode: str
    engine: str
    kills: int


def stages(kills: int, mode: str) -> Iterator[Stage]:
    """Yield the rounds for a number of kills."""
    shares = {"exactly-once": EXACTLY_ONCE_SHARE, "at-least-once": 1 - EXACTLY_ONCE_SHARE}
    if mode != "both":
        shares = {mode: 1.0}
    for name, share in shares.items():
        remaining, number = round(kills * share), 0
        while remaining > 0:
            number += 1
            engine = "local" if number % CLUSTER_EVERY else "cluster"
            yield Stage(name, engine, min(remaining, KILLS_A_ROUND))
            remaining -= KILLS_A_ROUND


def make_pipeline(broker: Broker, folder: Path) -> Pipeline:
    """Create topics for one round."""
    folder.mkdir(parents=True)
    name = folder.name
    servers = broker.bootstrap_servers
    create_topic(servers, f"in-{name}", partitions=PARTITIONS)
    create_topic(servers, f"out-{name}", partitions=PARTITIONS, configs=OUTPUT_LIMIT)
    create_topic(servers, f"dead-{name}", partitions=2, configs=OUTPUT_LIMIT)
    return Pipeline(broker, f"in-{name}", f"out-{name}", f"dead-{name}", folder)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=260, help="number of kills")
    parser.add_argument(
        "--driver-share", type=float, default=0.2, help="share of kills that end the job"
    )
    parser.add_argument(
        "--mode",
        choices=["both", "exactly-once", "at-least-once"],
        default="both",
        help="delivery mode",
    )
    parser.add_argument(
        "--engine", choices=["local", "cluster"], help="run only on this Spark master"
    )
    parser.add_argument("--short", action="store_true", help="ten kills; record nothing")
    parser.add_argument("--seed", type=int, help="repeat a plan, its messages and pauses")
    return parser.parse_args()


def main() -> int:
    """Run the campaign; return 1 if a promise was broken."""
    args = arguments()
    # SIGTERM, like Ctrl-C, must stop the job and the broker too.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.default_int_handler)
    seed = secrets.randbits(32) if args.seed is None else args.seed
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    console = Console()
    console.print(f"seed {seed}")
    broken = 0
    # Earlier campaigns do not count: they ran on other code.
    tried: defaultdict[tuple[str, str], Counter[Kill]] = defaultdict(Counter)
    total = 10 if args.short else args.kills
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("kills, {task.fields[broken]} rounds broken, left:"),
        TimeRemainingColumn(elapsed_when_finished=True, compact=True),
    )
    run = FOLDER / f"{time.time():.0f}"
    with (
        suppress(KeyboardInterrupt),
        Broker(run / "broker", fetch_kafka()) as broker,
        Progress(*columns, console=console) as progress,
    ):
        bar = progress.add_task("", total=total, broken=0)
        for number, stage in enumerate(stages(total, args.mode)):
            engine = args.engine or stage.engine
            progress.update(bar, description=f"{stage.mode}, {engine}")
            earlier = tried[stage.mode, engine]
            kills = plan(stage.mode, engine, stage.kills, args.driver_share, earlier, rng)
            pipeline = make_pipeline(broker, run / f"{number}")
            findings = Round(pipeline, stage.mode, engine, rng).run(
                kills, lambda: progress.advance(bar)
            )
            if not args.short:
                results_log.add("rounds", {**results_log.entry(findings), "seed": seed})
            broken += not findings.holds
            progress.update(bar, broken=broken)
            progress.console.print(str(findings), highlight=False)
            if findings.holds:
                shutil.rmtree(pipeline.folder)
    if not broken:  # otherwise keep the topics and logs as evidence
        shutil.rmtree(run, ignore_errors=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
