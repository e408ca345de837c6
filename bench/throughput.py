"""How many messages a second each contender answers, Kafka to Kafka, while more wait."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from bench import testbed
from bench.contenders.table import CONTENDERS, Contender
from bench.corpus import messages
from dev import PYTHONPATH
from dev.kafka.topics import create_topic, end_offsets
from dev.pipeline import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from dev.pipeline.pipeline import Pipeline


LIMIT = "nlp.pipe alone"
TIDEMILL = {"Tidemill": "at-least-once", "Tidemill, exactly-once": "exactly-once"}
# From the first result on, while models load and Java compiles; then it is measured.
WARM_UP_S, WINDOW_S = 10, 15
# Some results come late: a partition's later than another's, and some contenders' by the thousand.
BEHIND_S, LATE_S = 3, 30
# Of what reads in micro-batches, as the job's own setting has it where nothing is said.
IN_A_MICRO_BATCH = 20_000
PATIENCE_S = 600
LOOK_S = 2.0  # to look costs the cores something
CORES = os.cpu_count() or 1


class NotMeasured(Exception):
    """A contender ended, or had answered all, before the measuring was over."""


def slope(times: Sequence[float]) -> float:
    """Return results a second, from the times of all, in order.

    It is the slope of the line through them, as many come in batches, of which a window's ends
    would cut some.
    """
    return statistics.linear_regression(times, range(len(times))).slope


def rate(times: Sequence[float], window: int = WINDOW_S) -> float:
    """Return results a second after the warm-up, in so many seconds, while more messages wait.

    Raises:
        NotMeasured: None waited at the end.

    """
    begin = times[0] + WARM_UP_S
    if times[-1] < begin + window:
        raise NotMeasured(
            f"{len(times)} texts were answered in {times[-1] - times[0]:.0f} s: send more (--texts)"
        )
    return slope([time for time in times if begin <= time <= begin + window])


def bare(texts: int) -> float:
    """Return what the model alone does, with a process on each core."""
    command = [sys.executable, "-m", "bench.bare", str(texts)]
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


def tidemill(delivery: str, at: Pipeline) -> float:
    """Return what the shipped job does."""
    environment = testbed.shipped(
        at, delivery, STREAM__MAX_OFFSETS_PER_TRIGGER=str(IN_A_MICRO_BATCH)
    )
    with at.program(environment) as job:
        times = wait_until_measured(at, job.must_run)
        job.process.terminate()  # it ends its micro-batch
        assert job.wait() == 0, job.output
    return rate(times)


def contender(one: Contender, at: Pipeline) -> float:
    """Return what one of the others does."""
    arguments = [
        *("--bootstrap-servers", at.broker.bootstrap_servers),
        *("--source", at.source),
        *("--target", at.output),
        *("--group", at.output),
        *("--folder", str(at.folder)),
        *("--max-offsets", str(IN_A_MICRO_BATCH)),
    ]
    command = [*one.command(), *arguments]
    environment = {**os.environ, **testbed.THREADS, "PYTHONPATH": PYTHONPATH}
    with (at.folder / "log").open("w") as log, ExitStack() as running:
        processes = [
            subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            for _ in range(one.processes)
        ]
        for process in processes:
            running.callback(end, process)

        def must_run() -> None:
            ended = [process for process in processes if process.poll() is not None]
            if ended:
                raise NotMeasured((at.folder / "log").read_text())

        window = WINDOW_S * one.windows
        return rate(wait_until_measured(at, must_run, window), window)


def end(process: subprocess.Popen[bytes]) -> None:
    """Have a process end, in its own way if it has one."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def times_of(at: Pipeline) -> list[float]:
    """Return when the results came, in order, in s, on the broker's clock."""
    return sorted(result.timestamp / 1000 for result in at.results())


def wait_until_measured(
    at: Pipeline, must_run: Callable[[], None], window: int = WINDOW_S
) -> list[float]:
    """Wait until results have come after warm-up and window; return the times of all."""
    wait_for_offsets(at, 1, must_run)
    wait = float(WARM_UP_S + window + BEHIND_S)
    until = time.monotonic() + wait + LATE_S
    while True:
        sleep(wait, must_run)
        times = times_of(at)
        if times[-1] > times[0] + WARM_UP_S + window or time.monotonic() > until:
            return times
        wait = BEHIND_S


def sleep(seconds: float, must_run: Callable[[], None]) -> None:
    """Wait for so long, as long as all goes on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        must_run()
        time.sleep(LOOK_S)


def wait_for_all(at: Pipeline, texts: int, must_run: Callable[[], None]) -> list[float]:
    """Wait until so many are answered; return the times."""
    while True:
        # A transaction's end takes an offset too, so that the count alone may come too early.
        wait_for_offsets(at, texts, must_run)
        if len(times := times_of(at)) >= texts:
            return times
        time.sleep(LOOK_S)


def wait_for_offsets(at: Pipeline, offsets: int, must_run: Callable[[], None]) -> None:
    """Wait until the output topic has so many offsets."""
    deadline = time.monotonic() + PATIENCE_S
    while sum(end_offsets(at.broker.bootstrap_servers, at.output).values()) < offsets:
        must_run()
        assert time.monotonic() < deadline, f"{at.output} is not complete"
        time.sleep(LOOK_S)


def measure(texts: int, only: Sequence[str], console: Console) -> Iterator[dict[str, float]]:
    """Run all contenders in turn, or those of these names, over and over; yield each round's rates.

    Every contender meets what else the machine does; a round's rates are to be compared. One that
    ends early is not in its round.
    """
    with testbed.broker() as (running, folder):
        create_topic(running.bootstrap_servers, "texts", partitions=testbed.PARTITIONS)
        records.produce(running.bootstrap_servers, "texts", *messages(texts))
        runs: dict[str, Callable[[Pipeline], float]] = {LIMIT: lambda _: bare(texts)}
        runs |= {name: partial(tidemill, mode) for name, mode in TIDEMILL.items()}
        runs |= {one.name: partial(contender, one) for one in CONTENDERS}
        while True:
            found = {}
            for name in only or runs:
                try:
                    found[name] = round(runs[name](testbed.pipeline(running, folder, "texts")), 1)
                except NotMeasured as error:  # the others' figures are as good
                    console.print(f"{name} is not in this round: {error}", markup=False)
                else:
                    console.print(f"{name}: {found[name]} messages a second", highlight=False)
            yield found
