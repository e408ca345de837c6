"""How long a message waits for its result, at steady loads of messages that do not wait for it."""

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
from bench.open_loop import Arrivals
from dev.pipeline import records
from faults.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from dev.pipeline.pipeline import Pipeline

DELIVERIES = ("at-least-once", "exactly-once")
LOADS = (0.1, 0.5, 0.8)
SHARES = (0.5, 0.95, 0.99)
# Messages that wait at the start, and after how many of them the capacity is measured.
BACKLOG, WARM = 6000, 2000
# At each load before it is measured; Java still compiles for a minute.
SETTLE_S = 60.0
PATIENCE_S = 300
SEED = 7


def offer(at: Pipeline, rate: float, seconds: float, sent: Iterator[dict[str, Any]]) -> int:
    """Send messages at random times, so many a second; return how many.

    Each bears the time when it was due, so that what holds up the sender counts too. Intervals are
    exponential: nobody waits for anybody (an open loop).
    """
    producer = Producer({"bootstrap.servers": at.broker.bootstrap_servers, "linger.ms": 0})
    rng = random.Random(SEED)  # noqa: S311 - no secret
    count, due = 0, time.time()
    end = due + seconds
    while (due := due + rng.expovariate(rate)) < end:
        time.sleep(max(0.0, due - time.time()))
        producer.produce(at.source, **next(sent), timestamp=int(1000 * due))
        producer.poll(0)
        count += 1
    assert not producer.flush(30)
    return count


def capacity(at: Pipeline, arrivals: Arrivals) -> float:
    """Return how many messages a second the job answers while more wait."""
    records.produce(at.broker.bootstrap_servers, at.source, *messages(BACKLOG))
    arrivals.wait(BACKLOG, PATIENCE_S)
    came = sorted(came for _, came in arrivals.times)
    return (BACKLOG - WARM) / (came[-1] - came[WARM])


def percentiles(waits: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99, in milliseconds, of seconds."""
    return {f"p{share * 100:.0f}": round(1000 * percentile(waits, share), 1) for share in SHARES}


def model_time(result: bytes) -> float:
    """Return the seconds that the model took for the call that a result is from."""
    said = json.loads(result)
    start, end = (datetime.fromisoformat(said[name]) for name in ("ts_start", "ts_end"))
    return (end - start).total_seconds()


def measure(seconds: float, console: Console) -> dict[str, Any]:
    """Measure both ways of delivery at each load, for so long each."""
    with testbed.broker() as (running, folder):
        return {
            delivery: one(testbed.pipeline(running, folder), delivery, seconds, console)
            for delivery in DELIVERIES
        }


def one(at: Pipeline, delivery: str, seconds: float, console: Console) -> dict[str, Any]:
    """Measure one way of delivery at each load."""
    texts = itertools.cycle(list(messages(BACKLOG)))
    with (
        at.program(testbed.shipped(at, delivery)) as job,
        Arrivals(at.broker.bootstrap_servers, at.output) as arrivals,
    ):
        job.wait_for("stream started")
        most, sent = capacity(at, arrivals), BACKLOG
        console.print(f"{delivery}: capacity {most:.0f} messages a second", highlight=False)
        loads = {}
        for load in LOADS:
            for lasts in (SETTLE_S, seconds):
                before = sent
                sent += offer(at, load * most, lasts, texts)
                arrivals.wait(sent, PATIENCE_S)
            waits = [came - due for due, came in arrivals.times[before:]]
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
    return {"capacity": round(most, 1), "loads": loads}
