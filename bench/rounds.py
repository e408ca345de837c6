"""Measure rates in rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from bench import testbed
from bench.rates import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rich.console import Console

    from dev.kafka.broker import Broker
    from dev.pipeline.pipeline import Pipeline

# Returns the messages a second of one run.
Run: TypeAlias = "Callable[[Pipeline], float]"


def measure(
    runs: Mapping[str, tuple[str, Run]], broker: Broker, folder: Path, console: Console
) -> Iterator[dict[str, float]]:
    """Make all runs, each with its input topic, in turn and without end; yield each round's rates.

    Other load on the machine affects all of a round, so compare rates within a round. A run that
    fails is missing in its round.
    """
    while True:
        rates = {}
        for name, (topic, run) in runs.items():
            try:
                rates[name] = round(run(testbed.make_pipeline(broker, folder, topic)), 1)
            except NotMeasured as error:  # the other figures are valid
                console.print(f"{name} is not in this round: {error}", markup=False)
            else:
                console.print(f"{name}: {rates[name]} messages a second", highlight=False)
        yield rates
