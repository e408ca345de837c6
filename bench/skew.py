"""Measure how many messages a second the job answers if partitions differ in size."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from bench import testbed
from bench.corpus import messages
from bench.rates import NotMeasured
from bench.throughput import LIMIT, TIDEMILL, baseline, tidemill
from dev.kafka.topics import create_topic
from dev.pipeline import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

# The sizes of a topic's partitions, relative to each other.
SHAPES = {"one partition": (1,), "8:4:2:1": (8, 4, 2, 1), "four even partitions": (1, 1, 1, 1)}
SEED = 7


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


def measure(texts: int, console: Console) -> Iterator[dict[str, float]]:
    """Run the bare model, and the job with each shape and delivery, in turn and without end.

    Yield each round's rates. Compare rates within a round only.
    """
    with testbed.broker() as (broker, folder):
        for number, weights in enumerate(SHAPES.values()):
            produce(broker.bootstrap_servers, f"texts-{number}", weights, texts)
        while True:
            rates = {LIMIT: round(baseline(texts), 1)}
            for number, shape in enumerate(SHAPES):
                for delivery in TIDEMILL.values():
                    name = f"{shape}, {delivery}"
                    pipeline = testbed.make_pipeline(broker, folder, f"texts-{number}")
                    try:
                        rates[name] = round(tidemill(delivery, pipeline), 1)
                    except NotMeasured as error:  # the other figures are valid
                        console.print(f"{name} is not in this round: {error}", markup=False)
                        continue
                    share = rates[name] / rates[LIMIT]
                    console.print(f"{name}: {share:.2f} of the bare model", highlight=False)
            yield rates
