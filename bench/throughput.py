"""Measure how many messages a second each contender answers, from Kafka to Kafka."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from bench import rounds, testbed
from bench.contenders.table import CONTENDERS, Contender
from bench.corpus import messages
from bench.rates import WINDOW_S, NotMeasured, rate, wait_until_measured
from dev import PYTHONPATH
from dev.kafka.topics import create_topic
from dev.pipeline import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from dev.pipeline.pipeline import Pipeline


LIMIT = "nlp.pipe alone"
TOPIC = "texts"
TIDEMILL = {"Tidemill": "at-least-once", "Tidemill, exactly-once": "exactly-once"}
# For contenders with micro-batches; the default of our job.
MICRO_BATCH_SIZE = 20_000
CORES = os.cpu_count() or 1


def baseline(texts: int) -> float:
    """Return the rate of the model alone, with a process on each core."""
    command = [sys.executable, "-m", "bench.baseline", str(texts)]
    environment = {**os.environ, **testbed.THREADS, "PYTHONPATH": PYTHONPATH}
    processes = [
        subprocess.Popen(
            [*command, str(part), str(CORES)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(CORES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        outputs += json.loads(process.communicate()[0])
    return rate(sorted(outputs))


def tidemill(delivery: str, pipeline: Pipeline) -> float:
    """Return the rate of the shipped job."""
    environment = testbed.shipped(
        pipeline, delivery, STREAM__MAX_OFFSETS_PER_TRIGGER=str(MICRO_BATCH_SIZE)
    )
    with pipeline.program(environment) as job:
        times = wait_until_measured(pipeline, job.must_run)
        job.process.terminate()  # it finishes its micro-batch
        assert job.wait() == 0, job.output
    return rate(times)


def run_contender(contender: Contender, pipeline: Pipeline) -> float:
    """Return the rate of another contender."""
    arguments = [
        *("--bootstrap-servers", pipeline.broker.bootstrap_servers),
        *("--source", pipeline.source),
        *("--target", pipeline.output),
        *("--group", pipeline.output),
        *("--folder", str(pipeline.folder)),
        *("--max-offsets", str(MICRO_BATCH_SIZE)),
    ]
    command = [*contender.command(), *arguments]
    environment = {**os.environ, **testbed.THREADS, "PYTHONPATH": PYTHONPATH}
    with (pipeline.folder / "log").open("w") as log, ExitStack() as running:
        processes = [
            subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            for _ in range(contender.processes)
        ]
        for process in processes:
            running.callback(stop, process)

        def must_run() -> None:
            ended = [process for process in processes if process.poll() is not None]
            if ended:
                raise NotMeasured((pipeline.folder / "log").read_text())

        window = WINDOW_S * contender.windows
        return rate(wait_until_measured(pipeline, must_run, window), window)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process with SIGTERM, after 30 s with SIGKILL."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def measure(texts: int, only: Sequence[str], console: Console) -> Iterator[dict[str, float]]:
    """Run all contenders, or those in `only`; yield each round's rates."""
    runs: dict[str, rounds.Run] = {LIMIT: lambda _: baseline(texts)}
    runs |= {name: partial(tidemill, mode) for name, mode in TIDEMILL.items()}
    runs |= {contender.name: partial(run_contender, contender) for contender in CONTENDERS}
    with testbed.broker() as (broker, folder):
        create_topic(broker.bootstrap_servers, TOPIC, partitions=testbed.PARTITIONS)
        records.produce(broker.bootstrap_servers, TOPIC, *messages(texts))
        chosen = {name: (TOPIC, runs[name]) for name in only or runs}
        yield from rounds.measure(chosen, broker, folder, console)
