"""`make soak`: run the job with the shipped models at half its capacity for half an hour.

Sample its memory, open files, threads and the checkpoint's size: a gauge that rises is a leak.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from dev import ROOT
from dev.kafka.broker import Broker
from dev.kafka.distribution import fetch_kafka
from dev.pipeline import records
from faults import gauges, results_log, shipped_models
from faults.campaign import make_pipeline
from faults.feeder import Feeder
from faults.leaks import assess, plot
from faults.observed import ObservedOutcomes
from faults.sampler import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline

INTERVAL_S = 5.0
MAX_CHARS = 400  # of a text
# Messages that wait at the start. The capacity is measured between two of them, since the first
# micro-batches are slow.
BACKLOG = 6000
MEASURED = 1000, 5000
# Small, so that the checkpoint has the hundred micro-batches that Spark keeps before the gauges
# count.
MICRO_BATCH_SIZE = 500
PLOT = ROOT / "docs" / "soak.png"


def capacity(pipeline: Pipeline, job: JobProcess, observed: ObservedOutcomes) -> float:
    """Send a backlog; return how many messages a second the job answers. At the end none waits."""
    servers = pipeline.broker.bootstrap_servers
    records.produce(servers, pipeline.source, *itertools.islice(texts(), BACKLOG))
    moments = []
    for answered in (*MEASURED, BACKLOG):
        wait_for(job, observed, answered)
        moments.append((len(observed), time.monotonic()))
    (few, start), (many, end), _ = moments
    return (many - few) / (end - start)


def wait_for(job: JobProcess, observed: ObservedOutcomes, count: int) -> None:
    """Wait until that many messages are answered."""
    while len(observed) < count:
        job.must_run()
        time.sleep(0.05)


def texts() -> Iterator[dict[str, bytes]]:
    """Yield messages without end."""
    return itertools.cycle(shipped_models.records(MAX_CHARS))


def watch(job: JobProcess, checkpoint: Path, minutes: float) -> list[dict[str, float]]:
    """Return samples of the gauges, taken every few seconds, with the seconds since the start."""
    start, samples = time.monotonic(), []
    for step in track(range(int(minutes * 60 / INTERVAL_S)), "soaking"):
        time.sleep(max(0.0, start + step * INTERVAL_S - time.monotonic()))
        job.must_run()
        seconds = round(time.monotonic() - start, 1)
        samples.append({"seconds": seconds, **gauges.measure(job.process.pid, checkpoint)})
    return samples


def soak(pipeline: Pipeline, minutes: float, console: Console) -> dict[str, Any]:
    """Run, feed, watch and stop the job; return the entry for docs/faults.json."""
    servers, observed = pipeline.broker.bootstrap_servers, ObservedOutcomes()
    outputs = (pipeline.output, pipeline.dead)
    environment = shipped_models.environment(
        pipeline, "exactly-once", STREAM__MAX_OFFSETS_PER_TRIGGER=str(MICRO_BATCH_SIZE)
    )
    sampler = Sampler(servers, pipeline.source, [pipeline.source], outputs, observed)
    with sampler, pipeline.program(environment) as job:
        rate = capacity(pipeline, job, observed)
        console.print(f"capacity {rate:.0f} messages a second")
        with Feeder(servers, pipeline.source, rate / 2, texts()) as feeder:
            samples = watch(job, pipeline.folder / "checkpoint", minutes)
            sent = BACKLOG + feeder.stop()
        wait_for(job, observed, sent)
        job.process.terminate()
        assert job.wait() == 0, job.output
    plot(samples, PLOT)
    written = sum(len(records.read(servers, topic)) for topic in outputs)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": minutes,
        "capacity": round(rate, 1),
        "messages": sent,
        "outcomes": written,
        "samples": sampler.checker.samples,
        "ahead": len(sampler.checker.ahead),
        "gauges": assess(samples),
    }


def main() -> int:
    """Soak the job and add the result to docs/faults.json; return 1 if a gauge rises."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30, help="length of the soak")
    args = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory() as folder,
        Broker(Path(folder, "broker"), fetch_kafka()) as broker,
    ):
        entry = soak(make_pipeline(broker, Path(folder, "soak")), args.minutes, console)
    console.print(entry, highlight=False)
    results_log.add("soaks", entry)
    return int(not all(gauge["flat"] for gauge in entry["gauges"].values()))


if __name__ == "__main__":
    sys.exit(main())
