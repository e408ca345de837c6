"""Measure the job with more workers, partitions, messages per batch, and a long backlog."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import testbed
from bench.corpus import messages
from bench.rates import slope, wait_for_all
from dev.kafka.topics import end_offsets
from dev.pipeline import records
from dev.pipeline.job_process import descendants
from faults import gauges

if TYPE_CHECKING:
    from rich.console import Console

    from dev.kafka.broker import Broker
    from dev.pipeline.pipeline import Pipeline

WORKERS = (1, 2, 4)
PARTITIONS = (1, 2, 4, 8, 16)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
TEXTS = 4000
MICRO_BATCH_SIZE = 1000
WARM_UP_SHARE = 0.3
# Time that the model sleeps for each message; and for each character, if lengths are skewed.
WAIT_S, WAIT_PER_CHARACTER_S = 0.01, 0.000_1
BACKLOG = 1_000_000
TICK = os.sysconf("SC_CLK_TCK")


def run(pipeline: Pipeline, environment: dict[str, str], count: int) -> tuple[float, list[float]]:
    """Return when the job started, and when each message was answered, in order."""
    with pipeline.program(environment) as job:
        job.wait_for("stream started")
        started = time.time()
        times = wait_for_all(pipeline, count, job.must_run)
        job.process.terminate()
        assert job.wait() == 0, job.output
    return started, times


def steady(pipeline: Pipeline, environment: dict[str, str], count: int) -> float:
    """Return results a second over many micro-batches, without the first ones."""
    _, times = run(pipeline, environment, count)
    return slope(times[int(count * WARM_UP_SHARE) :])


def seconds(pipeline: Pipeline, environment: dict[str, str], count: int) -> float:
    """Return the seconds that one micro-batch of all messages takes."""
    started, times = run(pipeline, environment, count)
    return times[-1] - started


def cluster(workers: int) -> str:
    """Return Spark settings for executors with one worker each."""
    return json.dumps({"spark.master": f"local-cluster[{workers},1,1024]"})


def by_workers(broker: Broker, folder: Path) -> dict[int, float]:
    """Return the rate by number of executors, as a share of what the sleeping model allows."""
    results = {}
    for workers in WORKERS:
        pipeline = testbed.make_pipeline(broker, folder, partitions=8)
        sent = list(messages(TEXTS * workers // 2))
        records.produce(broker.bootstrap_servers, pipeline.source, *sent)
        size = {"STREAM__MAX_OFFSETS_PER_TRIGGER": str(MICRO_BATCH_SIZE * workers)}
        environment = testbed.sleeping(
            pipeline, {"seconds": WAIT_S}, SPARK=cluster(workers), **size
        )
        results[workers] = round(steady(pipeline, environment, len(sent)) * WAIT_S / workers, 3)
    return results


def by_partitions(broker: Broker, folder: Path) -> dict[int, float]:
    """Return messages a second with the shipped models, by number of input partitions."""
    results = {}
    for partitions in PARTITIONS:
        pipeline = testbed.make_pipeline(broker, folder, partitions=partitions)
        records.produce(broker.bootstrap_servers, pipeline.source, *messages(TEXTS))
        size = {"STREAM__MAX_OFFSETS_PER_TRIGGER": str(MICRO_BATCH_SIZE)}
        results[partitions] = round(steady(pipeline, testbed.shipped(pipeline, **size), TEXTS), 1)
    return results


def by_batch(broker: Broker, folder: Path) -> dict[int, float]:
    """Return messages a second with the shipped models, by messages in an Arrow batch.

    Each of two tasks gets as many messages as the largest batch holds.
    """
    results = {}
    count = 2 * max(BATCHES)
    for batch in BATCHES:
        pipeline = testbed.make_pipeline(broker, folder, partitions=2)
        records.produce(broker.bootstrap_servers, pipeline.source, *messages(count))
        size = {"STREAM__ARROW_BATCH_SIZE": str(batch)}
        results[batch] = round(
            count / seconds(pipeline, testbed.shipped(pipeline, **size), count), 1
        )
    return results


def skewed(broker: Broker, folder: Path) -> dict[int, float]:
    """Return the share of time that four workers spend in the model, with one partition.

    The texts have their natural lengths; some are many times the mean.
    """
    results = {}
    for parallelism in (1, 4, 16):
        pipeline = testbed.make_pipeline(broker, folder, partitions=1)
        sent = list(messages(TEXTS))
        records.produce(broker.bootstrap_servers, pipeline.source, *sent)
        settings = {"STREAM__PARALLELISM": str(parallelism)} if parallelism > 1 else {}
        environment = testbed.sleeping(
            pipeline, {"per_character": WAIT_PER_CHARACTER_S}, SPARK=cluster(4), **settings
        )
        chars = sum(len(json.loads(message["value"])["text"]) for message in sent)
        took = seconds(pipeline, environment, TEXTS)
        results[parallelism] = round(chars * WAIT_PER_CHARACTER_S / 4 / took, 3)
    return results


def backlog(broker: Broker, folder: Path, delivery: str, count: int) -> list[list[float]]:
    """Answer small messages with a model that does nothing, and sample the job once a second.

    Return for each sample: seconds, answered messages, CPU seconds and MiB (PSS) of the whole job.
    """
    pipeline = testbed.make_pipeline(broker, folder)
    message = '{"uuid":"%d","text":"t","lang":"en"}'
    small = ({"value": (message % n).encode(), "key": b"%d" % n} for n in range(count))
    records.produce(broker.bootstrap_servers, pipeline.source, *small)
    samples = []
    with pipeline.program(testbed.sleeping(pipeline, {}, STREAM__DELIVERY=delivery)) as job:
        job.wait_for("stream started")
        start, answered = time.monotonic(), 0
        while answered < count:
            job.must_run()
            time.sleep(1)
            pids = [job.process.pid, *descendants(job.process.pid)]
            answered = sum(end_offsets(broker.bootstrap_servers, pipeline.output).values())
            seconds = time.monotonic() - start
            memory = sum(map(gauges.pss, pids))
            used = sum(map(cpu_seconds, pids))
            samples.append([round(seconds, 1), answered, round(used, 2), round(memory)])
        job.process.terminate()
        assert job.wait() == 0, job.output
    return samples


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of its ended children."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0.0
    return sum(map(int, stat.rpartition(")")[2].split()[11:15])) / TICK


def measure(console: Console) -> dict[str, Any]:
    """Measure all parts."""
    results: dict[str, Any] = {}
    parts = {"workers": by_workers, "partitions": by_partitions, "batch": by_batch, "skew": skewed}
    with testbed.broker() as (broker, folder):
        for name, part in parts.items():
            results[name] = part(broker, folder)
            console.print(f"{name}: {results[name]}", highlight=False)
        results["backlog"] = {}
        for delivery in ("at-least-once", "exactly-once"):
            samples = backlog(broker, folder, delivery, BACKLOG)
            results["backlog"][delivery] = samples
            console.print(f"backlog, {delivery}: {samples[-1]}", highlight=False)
    return results
