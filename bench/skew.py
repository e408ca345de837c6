"""Measure how many messages a second the job answers if partitions differ in size."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

from bench import rounds, testbed
from bench.corpus import messages
from bench.rates import rate_to_end, wait_for_all
from bench.throughput import LIMIT, MICRO_BATCH_SIZE, TIDEMILL, baseline
from dev.kafka.topics import create_topic
from dev.pipeline import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from dev.pipeline.pipeline import Pipeline

# The sizes of a topic's partitions, relative to each other.
SHAPES = {"one partition": (1,), "8:4:2:1": (8, 4, 2, 1), "four even partitions": (1, 1, 1, 1)}
SEED = 7


def run_name(shape: str, delivery: str) -> str:
    """Return the name of a run in the results."""
    return f"{shape}, {delivery}"


def produce(servers: str, topic: str, weights: Sequence[int], texts: int) -> None:
    """Fill a topic whose partitions have sizes in proportion to the weights."""
    create_topic(servers, topic, partitions=len(weights))
    rng = random.Random(SEED)  # noqa: S311 - no secret
    partitions: list[int] = rng.choices(range(len(weights)), weights, k=texts)
    placed: list[dict[str, Any]] = [
        {**message, "partition": partition}
        for message, partition in zip(messages(texts), partitions, strict=True)
    ]
    records.produce(servers, topic, *placed)


def tidemill(delivery: str, texts: int, pipeline: Pipeline) -> float:
    """Return the rate of the shipped job until the last result.

    All messages are in one micro-batch, so a long partition that finishes alone lowers the rate.
    """
    size = {"STREAM__MAX_OFFSETS_PER_TRIGGER": str(max(texts, MICRO_BATCH_SIZE))}
    with pipeline.program(testbed.shipped(pipeline, delivery, **size)) as job:
        times = wait_for_all(pipeline, texts, job.must_run)
        job.process.terminate()
        assert job.wait() == 0, job.output
    return rate_to_end(times)


def measure(texts: int, console: Console) -> Iterator[dict[str, float]]:
    """Run the bare model, and the job with each shape and delivery; yield each round's rates."""
    with testbed.broker() as (broker, folder):
        runs: dict[str, tuple[str, rounds.Run]] = {}
        for number, (shape, weights) in enumerate(SHAPES.items()):
            topic = f"texts-{number}"
            produce(broker.bootstrap_servers, topic, weights, texts)
            for delivery in TIDEMILL.values():
                runs[run_name(shape, delivery)] = topic, partial(tidemill, delivery, texts)
        limit = {LIMIT: (topic, lambda _: baseline(texts))}
        yield from rounds.measure(limit | runs, broker, folder, console)
