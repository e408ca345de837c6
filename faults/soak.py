"""`make soak`: the job with the shipped models at half of what it can do, for half an hour.

Memory, file handles, threads and the checkpoint's size over time: a line that rises is a leak.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from dev import ROOT
from dev.kafka.broker import Broker
from dev.kafka.distribution import fetch_kafka
from dev.pipeline import records
from faults import gauges, results_log, shipped_models
from faults.campaign import make_pipeline
from faults.feeder import Feeder
from faults.figures import slope
from faults.observed import Seen
from faults.sampler import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline

INTERVAL_S = 5.0
WARM_UP_SHARE = 0.25  # not judged: caches fill, Java compiles
LONGEST = 400  # characters of a text
# Messages that wait at the start, and between which of them the capacity is measured: the first
# micro-batches are slow.
BACKLOG = 6000
MEASURED = 1000, 5000
# Spark keeps a hundred micro-batches: so many shall be done before anything is judged.
IN_A_MICRO_BATCH = 500
# So little, over all that is judged, is no leak, however sure the line is.
FLAT_SHARE = 0.02
PLOT = ROOT / "docs" / "soak.png"


def capacity(pipeline: Pipeline, job: JobProcess, seen: Seen) -> float:
    """Return how many messages a second it answers while more wait; then none waits any more."""
    servers = pipeline.broker.bootstrap_servers
    records.produce(servers, pipeline.source, *itertools.islice(texts(), BACKLOG))
    moments = []
    for answered in (*MEASURED, BACKLOG):
        wait_for(job, seen, answered)
        moments.append((len(seen), time.monotonic()))
    (few, start), (many, end), _ = moments
    return (many - few) / (end - start)


def wait_for(job: JobProcess, seen: Seen, count: int) -> None:
    """Wait until so many messages are answered."""
    while len(seen) < count:
        job.must_run()
        time.sleep(0.05)


def texts() -> Iterator[dict[str, bytes]]:
    """Yield messages without end."""
    return itertools.cycle(shipped_models.records(LONGEST))


def watch(job: JobProcess, checkpoint: Path, minutes: float) -> list[dict[str, float]]:
    """Look every few seconds; return what there was, and the seconds since the start."""
    start, found = time.monotonic(), []
    for step in track(range(int(minutes * 60 / INTERVAL_S)), "soaking"):
        time.sleep(max(0.0, start + step * INTERVAL_S - time.monotonic()))
        job.must_run()
        seconds = round(time.monotonic() - start, 1)
        found.append({"seconds": seconds, **gauges.look(job.process.pid, checkpoint)})
    return found


def judge(looks: Sequence[dict[str, float]]) -> dict[str, dict[str, float | bool]]:
    """Return level, growth an hour with its interval, and whether it is flat, for each gauge."""
    judged = looks[int(len(looks) * WARM_UP_SHARE) :]
    hours = [look["seconds"] / 3600 for look in judged]
    verdict = {}
    for name in (name for name in looks[0] if name != "seconds"):
        values = [look[name] for look in judged]
        growth, half = slope(hours, values)
        level = sum(values) / len(values)
        grown = (growth - half) * (hours[-1] - hours[0])  # at least so much
        verdict[name] = {
            "level": round(level, 1),
            "an hour": round(growth, 2),
            "give or take": round(half, 2),
            "flat": grown <= FLAT_SHARE * level,
        }
    return verdict


def plot(looks: Sequence[dict[str, float]], file: Path) -> None:
    """Draw each gauge over time."""
    import matplotlib as mpl  # noqa: PLC0415 - for this picture only

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after its backend was chosen

    names = [name for name in looks[0] if name != "seconds"]
    figure, axes = plt.subplots(len(names), sharex=True, figsize=(8, 1.7 * len(names)))
    for axis, name in zip(axes, names, strict=True):
        axis.plot([look["seconds"] / 60 for look in looks], [look[name] for look in looks], lw=1)
        axis.set_ylim(0, 1.1 * max(look[name] for look in looks))
        axis.set_title(name, loc="left", fontsize=9)
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def soak(pipeline: Pipeline, minutes: float, console: Console) -> dict[str, object]:
    """Run, feed, look and stop; return what is kept of it."""
    servers, seen = pipeline.broker.bootstrap_servers, Seen()
    outputs = (pipeline.output, pipeline.dead)
    environment = shipped_models.environment(
        pipeline, "exactly-once", STREAM__MAX_OFFSETS_PER_TRIGGER=str(IN_A_MICRO_BATCH)
    )
    sampler = Sampler(servers, pipeline.source, [pipeline.source], outputs, seen)
    with sampler, pipeline.program(environment) as job:
        most = capacity(pipeline, job, seen)
        console.print(f"capacity {most:.0f} messages a second")
        with Feeder(servers, pipeline.source, most / 2, texts()) as feeder:
            looks = watch(job, pipeline.folder / "checkpoint", minutes)
            sent = BACKLOG + feeder.stop()
        wait_for(job, seen, sent)
        job.process.terminate()
        assert job.wait() == 0, job.output
    plot(looks, PLOT)
    written = sum(len(records.read(servers, topic)) for topic in outputs)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": minutes,
        "capacity": round(most, 1),
        "messages": sent,
        "outcomes": written,
        "samples": sampler.verdict.samples,
        "ahead": len(sampler.verdict.ahead),
        "gauges": judge(looks),
    }


def main() -> int:
    """Soak, and add it to docs/faults.json; return 1 where something rises."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    asked = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory() as folder,
        Broker(Path(folder, "broker"), fetch_kafka()) as broker,
    ):
        found = soak(make_pipeline(broker, Path(folder, "soak")), asked.minutes, console)
    console.print(found, highlight=False)
    results_log.add("soaks", found)
    return int(not all(gauge["flat"] for gauge in found["gauges"].values()))


if __name__ == "__main__":
    sys.exit(main())
