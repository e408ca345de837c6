"""`make cost`: what exactly-once costs, as throughput of both modes on the same backlog.

The shipped model on the same cores; the modes take turns, so that what else the machine does meets
both. Counted from the first outcome's timestamp to the last one's: without the start.
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
LONGEST = 200  # characters of a text
IN_A_MICRO_BATCH = 1000
PATIENCE_S = 300


def throughput(pipeline: Pipeline, mode: str) -> float:
    """Answer the whole backlog; return messages a second."""
    environment = shipped_models.environment(
        pipeline,
        mode,
        STREAM__TRIGGER="available-now",
        STREAM__MAX_OFFSETS_PER_TRIGGER=str(IN_A_MICRO_BATCH),
    )
    with pipeline.program(environment) as job:
        assert job.wait(PATIENCE_S) == 0, job.output
    times = [record.timestamp for record in pipeline.results()]
    return 1000 * len(times) / (max(times) - min(times))


def compare(broker: Broker, folder: Path, texts: int, repeats: int, console: Console) -> list[dict]:
    """Return the throughput of both modes, once for each repeat, which of them first in turn."""
    backlog = list(itertools.islice(itertools.cycle(shipped_models.records(LONGEST)), texts))
    found = []
    for repeat in range(repeats):
        pair = {}
        for mode in MODES if repeat % 2 else reversed(MODES):
            pipeline = make_pipeline(broker, folder / f"{repeat}-{mode}")
            records.produce(broker.bootstrap_servers, pipeline.source, *backlog)
            pair[mode] = round(throughput(pipeline, mode), 1)
        found.append(pair)
        ratio = pair[MODES[0]] / pair[MODES[1]]
        console.print(f"{repeat + 1} of {repeats}: {pair}, ratio {ratio:.3f}", highlight=False)
    return found


def ratios(pairs: Sequence[dict[str, float]]) -> list[float]:
    """Return exactly-once divided by at-least-once, for each pair."""
    return [round(pair[MODES[0]] / pair[MODES[1]], 4) for pair in pairs]


def main() -> int:
    """Measure, and add it to docs/faults.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=6)
    asked = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory() as folder,
        Broker(Path(folder, "broker"), fetch_kafka()) as broker,
    ):
        pairs = compare(broker, Path(folder), asked.texts, asked.repeats, console)
    median, least, most = median_interval(ratios(pairs))
    console.print(f"median {median:.3f}, from {least:.3f} to {most:.3f}", highlight=False)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    results_log.add("costs", {"date": date, "texts": asked.texts, "pairs": pairs})
    return 0


if __name__ == "__main__":
    sys.exit(main())
