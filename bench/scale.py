"""Measure the job with more processes, executors, partitions, messages per batch, and backlog."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from bench import backlog, testbed
from bench.corpus import messages
from bench.rates import slope, wait_for_all
from dev.pipeline import records

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from dev.kafka.broker import Broker
    from dev.pipeline.pipeline import Pipeline

PROCESSES = (1, 2, 4, 8)
WORKERS = (1, 2, 4)
PARTITIONS = (1, 2, 4, 8, 16)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
TEXTS = 4000
MICRO_BATCH_SIZE = 1000
WARM_UP_SHARE = 0.3
# Time that the model sleeps for each message; and for each character, if lengths are skewed.
WAIT_S, WAIT_PER_CHARACTER_S = 0.01, 0.000_1


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


def cluster(executors: int) -> str:
    """Return Spark settings for executors with one core, and thus one model process, each."""
    master = f"local-cluster[{executors},1,1024]"
    return json.dumps({"spark.master": master, "spark.executor.cores": "1"})


def by_processes(broker: Broker, folder: Path) -> dict[int, float]:
    """Return the rate by the pool's size, as a share of what the sleeping model allows.

    The topic has one partition, so one task keeps all processes busy.
    """
    results = {}
    for processes in PROCESSES:
        pipeline = testbed.make_pipeline(broker, folder, partitions=1)
        sent = list(messages(TEXTS * processes // 2))
        records.produce(broker.bootstrap_servers, pipeline.source, *sent)
        settings = {
            "POOL__PROCESSES": str(processes),
            "STREAM__MAX_OFFSETS_PER_TRIGGER": str(MICRO_BATCH_SIZE * processes),
        }
        environment = testbed.sleeping(pipeline, {"seconds": WAIT_S}, **settings)
        results[processes] = round(steady(pipeline, environment, len(sent)) * WAIT_S / processes, 3)
    return results


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
    """Return the share of time that four executors spend in the model, with one partition.

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


def measure(console: Console) -> dict[str, Any]:
    """Measure all parts."""
    results: dict[str, Any] = {}
    parts = {
        "processes": by_processes,
        "workers": by_workers,
        "skew": skewed,
        "partitions": by_partitions,
        "batch": by_batch,
    }
    with testbed.broker() as (broker, folder):
        for name, part in parts.items():
            results[name] = part(broker, folder)
            console.print(f"{name}: {results[name]}", highlight=False)
        results["backlog"] = {}
        for delivery in ("at-least-once", "exactly-once"):
            samples = backlog.samples(broker, folder, delivery)
            results["backlog"][delivery] = samples
            console.print(f"backlog, {delivery}: {samples[-1]}", highlight=False)
    return results
