"""Measure latency at steady loads. The sender does not wait for results (an open loop)."""

from __future__ import annotations

import itertools
import json
import random
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer

from bench import testbed
from bench.corpus import messages
from bench.open_loop import ArrivalReader
from bench.throughput import baseline
from dev.pipeline import records
from faults.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from dev.pipeline.pipeline import Pipeline

DELIVERIES = ("at-least-once", "exactly-once")
LOADS = (0.1, 0.5, 0.8)
SHARES = (0.5, 0.95, 0.99)
# The job answers this many messages before the first load, so that it is warm.
BACKLOG = 6000
# How many texts the model processes alone. `baseline` needs enough for 25 seconds.
BASELINE_TEXTS = 11_500
# Messages at each new load are not measured for so long, because Java still compiles.
WARM_UP_S = 60.0
TIMEOUT_S = 300
SEED = 7


def send(
    pipeline: Pipeline, rate: float, seconds: float, messages: Iterator[dict[str, Any]]
) -> int:
    """Send messages at random times, on average `rate` a second; return how many.

    The intervals are exponential. A message's timestamp is the time at which it was due, so the
    sender's own delays count as latency.
    """
    producer = Producer({"bootstrap.servers": pipeline.broker.bootstrap_servers, "linger.ms": 0})
    rng = random.Random(SEED)  # noqa: S311 - no secret
    count, due = 0, time.time()
    end = due + seconds
    while (due := due + rng.expovariate(rate)) < end:
        time.sleep(max(0.0, due - time.time()))
        producer.produce(pipeline.source, **next(messages), timestamp=int(1000 * due))
        producer.poll(0)
        count += 1
    assert not producer.flush(30)
    return count


def percentiles(waits: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds; the waits are in seconds."""
    return {f"p{share * 100:.0f}": round(1000 * percentile(waits, share), 1) for share in SHARES}


def model_time(result: bytes) -> float:
    """Return how many seconds the call to the model took that made this result."""
    fields = json.loads(result)
    start, end = (datetime.fromisoformat(fields[name]) for name in ("ts_start", "ts_end"))
    return (end - start).total_seconds()


def measure(seconds: float, console: Console) -> dict[str, Any]:
    """Measure both deliveries, for `seconds` at each load."""
    with testbed.broker() as (broker, folder):
        return {
            delivery: measure_delivery(
                testbed.make_pipeline(broker, folder), delivery, seconds, console
            )
            for delivery in DELIVERIES
        }


def measure_delivery(
    pipeline: Pipeline, delivery: str, seconds: float, console: Console
) -> dict[str, Any]:
    """Measure one delivery at each load, a share of the model's own rate on all cores."""
    model_rate, sent = baseline(BASELINE_TEXTS), BACKLOG
    texts = itertools.cycle(list(messages(BACKLOG)))
    with (
        pipeline.program(testbed.shipped(pipeline, delivery)) as job,
        ArrivalReader(pipeline.broker.bootstrap_servers, pipeline.output) as arrivals,
    ):
        job.wait_for("stream started")
        records.produce(pipeline.broker.bootstrap_servers, pipeline.source, *messages(BACKLOG))
        arrivals.wait(BACKLOG, TIMEOUT_S)
        console.print(
            f"{delivery}: the model alone does {model_rate:.0f} a second", highlight=False
        )
        loads = {}
        for load in LOADS:
            for duration in (WARM_UP_S, seconds):
                before = sent
                sent += send(pipeline, load * model_rate, duration, texts)
                arrivals.wait(sent, TIMEOUT_S)
            waits = [received - due for due, received in arrivals.times[before:]]
            models = map(model_time, arrivals.values[before:])
            over = [wait - model for wait, model in zip(waits, models, strict=True)]
            loads[str(load)] = {
                "messages": len(waits),
                "waits": percentiles(waits),
                "over the model": percentiles(over),
            }
            console.print(f"{delivery}, {load:.0%}: {loads[str(load)]}", highlight=False)
        job.process.terminate()
        assert job.wait() == 0, job.output
    return {"model_rate": round(model_rate, 1), "loads": loads}
