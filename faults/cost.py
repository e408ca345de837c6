"""`make cost`: compare the throughput of exactly-once and at-least-once on the same backlog.

Both modes run the shipped model on the same cores in turn, so other load affects both. The time
runs from the first outcome's timestamp to the last one's, so the start of the job does not count.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from dev.kafka.broker import Broker
from dev.kafka.distribution import fetch_kafka
from dev.pipeline import records
from faults import results_log, shipped_models
from faults.campaign import make_pipeline
from faults.figures import median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.pipeline.pipeline import Pipeline

MODES = ("exactly-once", "at-least-once")
MAX_CHARS = 200  # of a text
MICRO_BATCH_SIZE = 1000
TIMEOUT_S = 300


def throughput(pipeline: Pipeline, mode: str) -> float:
    """Answer the whole backlog; return messages a second."""
    environment = shipped_models.environment(
        pipeline,
        mode,
        STREAM__TRIGGER="available-now",
        STREAM__MAX_OFFSETS_PER_TRIGGER=str(MICRO_BATCH_SIZE),
    )
    with pipeline.program(environment) as job:
        assert job.wait(TIMEOUT_S) == 0, job.output
    times = [record.timestamp for record in pipeline.results()]
    return 1000 * len(times) / (max(times) - min(times))


def compare(
    broker: Broker, folder: Path, texts: int, repeats: int, console: Console
) -> list[dict[str, float]]:
    """Return the throughput of both modes for each repeat; the modes take turns to be first."""
    backlog = list(itertools.islice(itertools.cycle(shipped_models.records(MAX_CHARS)), texts))
    pairs = []
    for repeat in range(repeats):
        pair = {}
        for mode in MODES if repeat % 2 else reversed(MODES):
            pipeline = make_pipeline(broker, folder / f"{repeat}-{mode}")
            records.produce(broker.bootstrap_servers, pipeline.source, *backlog)
            pair[mode] = round(throughput(pipeline, mode), 1)
        pairs.append(pair)
        ratio = pair[MODES[0]] / pair[MODES[1]]
        console.print(f"{repeat + 1} of {repeats}: {pair}, ratio {ratio:.3f}", highlight=False)
    return pairs


def ratios(pairs: Sequence[dict[str, float]]) -> list[float]:
    """Return exactly-once divided by at-least-once, for each pair."""
    return [round(pair[MODES[0]] / pair[MODES[1]], 4) for pair in pairs]


def main() -> int:
    """Measure, and add the result to docs/faults.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, default=4000, help="messages in the backlog")
    parser.add_argument("--repeats", type=int, default=6, help="runs of each mode")
    args = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory() as folder,
        Broker(Path(folder, "broker"), fetch_kafka()) as broker,
    ):
        pairs = compare(broker, Path(folder), args.texts, args.repeats, console)
    median, low, high = median_interval(ratios(pairs))
    console.print(f"median {median:.3f}, from {low:.3f} to {high:.3f}", highlight=False)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    results_log.add("costs", {"date": date, "texts": args.texts, "pairs": pairs})
    return 0


if __name__ == "__main__":
    sys.exit(main())
