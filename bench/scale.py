"""How the job does with more workers, partitions, messages in a batch, and messages that wait."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import testbed
from bench.corpus import messages
from bench.throughput import slope, wait_for_all
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
IN_A_MICRO_BATCH = 1000
WARM_UP_SHARE = 0.3
# A model that waits so long for each message; and for each character, where texts are skewed.
WAIT_S, WAIT_A_CHARACTER_S = 0.01, 0.000_1
BACKLOG = 1_000_000
TICK = os.sysconf("SC_CLK_TCK")


def run(at: Pipeline, environment: dict[str, str], count: int) -> tuple[float, list[float]]:
    """Return when the job began, and when each message was answered, in order."""
    with at.program(environment) as job:
        job.wait_for("stream started")
        began = time.time()
        times = wait_for_all(at, count, job.must_run)
        job.process.terminate()
        assert job.wait() == 0, job.output
    return began, times


def steady(at: Pipeline, environment: dict[str, str], count: int) -> float:
    """Return results a second, over many micro-batches, without those that came first."""
    _, times = run(at, environment, count)
    return slope(times[int(count * WARM_UP_SHARE) :])


def seconds(at: Pipeline, environment: dict[str, str], count: int) -> float:
    """Return how long a micro-batch of all messages takes."""
    began, times = run(at, environment, count)
    return times[-1] - began


def cluster(workers: int) -> str:
    """Return Spark's settings for so many executors, each a process with one worker."""
    return json.dumps({"spark.master": f"local-cluster[{workers},1,1024]"})


def by_workers(running: Broker, folder: Path) -> dict[int, float]:
    """Return messages a second, by executors, as a share of what the model's waiting allows."""
    found = {}
    for workers in WORKERS:
        at = testbed.pipeline(running, folder, partitions=8)
        sent = list(messages(TEXTS * workers // 2))
        records.produce(running.bootstrap_servers, at.source, *sent)
        size = {"STREAM__MAX_OFFSETS_PER_TRIGGER": str(IN_A_MICRO_BATCH * workers)}
        environment = testbed.waiting(at, {"seconds": WAIT_S}, SPARK=cluster(workers), **size)
        found[workers] = round(steady(at, environment, len(sent)) * WAIT_S / workers, 3)
    return found


def by_partitions(running: Broker, folder: Path) -> dict[int, float]:
    """Return messages a second with the shipped models, by partitions of the input topic."""
    found = {}
    for partitions in PARTITIONS:
        at = testbed.pipeline(running, folder, partitions=partitions)
        records.produce(running.bootstrap_servers, at.source, *messages(TEXTS))
        size = {"STREAM__MAX_OFFSETS_PER_TRIGGER": str(IN_A_MICRO_BATCH)}
        found[partitions] = round(steady(at, testbed.shipped(at, **size), TEXTS), 1)
    return found


def by_batch(running: Broker, folder: Path) -> dict[int, float]:
    """Return messages a second with the shipped models, by messages in an Arrow batch.

    Two tasks, each with as many as the largest batch has.
    """
    found = {}
    count = 2 * max(BATCHES)
    for batch in BATCHES:
        at = testbed.pipeline(running, folder, partitions=2)
        records.produce(running.bootstrap_servers, at.source, *messages(count))
        size = {"STREAM__ARROW_BATCH_SIZE": str(batch)}
        found[batch] = round(count / seconds(at, testbed.shipped(at, **size), count), 1)
    return found


def skewed(running: Broker, folder: Path) -> dict[int, float]:
    """Return the share of its time that four workers wait in the model, with one partition.

    The texts' own lengths, of which some are many times the mean.
    """
    found = {}
    for parallelism in (1, 4, 16):
        at = testbed.pipeline(running, folder, partitions=1)
        sent = list(messages(TEXTS))
        records.produce(running.bootstrap_servers, at.source, *sent)
        settings = {"STREAM__PARALLELISM": str(parallelism)} if parallelism > 1 else {}
        environment = testbed.waiting(
            at, {"a_character": WAIT_A_CHARACTER_S}, SPARK=cluster(4), **settings
        )
        text = sum(len(json.loads(one["value"])["text"]) for one in sent)
        took = seconds(at, environment, TEXTS)
        found[parallelism] = round(text * WAIT_A_CHARACTER_S / 4 / took, 3)
    return found


def backlog(running: Broker, folder: Path, delivery: str, count: int) -> list[list[float]]:
    """Answer so many small messages with a model that does nothing; look once a second.

    Return seconds, messages answered, CPU seconds used and MiB (PSS), of the whole job.
    """
    at = testbed.pipeline(running, folder)
    message = '{"uuid":"%d","text":"t","lang":"en"}'
    small = ({"value": (message % n).encode(), "key": b"%d" % n} for n in range(count))
    records.produce(running.bootstrap_servers, at.source, *small)
    looks = []
    with at.program(testbed.waiting(at, {}, STREAM__DELIVERY=delivery)) as job:
        job.wait_for("stream started")
        start, answered = time.monotonic(), 0
        while answered < count:
            job.must_run()
            time.sleep(1)
            everyone = [job.process.pid, *descendants(job.process.pid)]
            answered = sum(end_offsets(running.bootstrap_servers, at.output).values())
            seconds = time.monotonic() - start
            memory = sum(map(gauges.pss, everyone))
            used = sum(map(cpu_seconds, everyone))
            looks.append([round(seconds, 1), answered, round(used, 2), round(memory)])
        job.process.terminate()
        assert job.wait() == 0, job.output
    return looks


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process, with the children that ended, has used."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0.0
    return sum(map(int, stat.rpartition(")")[2].split()[11:15])) / TICK


def measure(console: Console) -> dict[str, Any]:
    """Measure all of it."""
    found: dict[str, Any] = {}
    parts = {"workers": by_workers, "partitions": by_partitions, "batch": by_batch, "skew": skewed}
    with testbed.broker() as (running, folder):
        for name, part in parts.items():
            found[name] = part(running, folder)
            console.print(f"{name}: {found[name]}", highlight=False)
        found["backlog"] = {}
        for delivery in ("at-least-once", "exactly-once"):
            looks = backlog(running, folder, delivery, BACKLOG)
            found["backlog"][delivery] = looks
            console.print(f"backlog, {delivery}: {looks[-1]}", highlight=False)
    return found
