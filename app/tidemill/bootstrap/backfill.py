"""Wire a backfill: run entries over a range of a topic, and compare with the stream's results."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tidemill.batch import run as batches
from tidemill.batch.backfill import Comparison, compare_and_finish, read_differences
from tidemill.batch.plan import KAFKA
from tidemill.batch.run import PART_ROWS, Place
from tidemill.bootstrap.batch import engines
from tidemill.bootstrap.places import Bounds, dead_letter_topic, order_of, place
from tidemill.errors import InvalidSelection, OutputUnusable
from tidemill.inference.route import all_specs
from tidemill.kafka.topics import is_input
from tidemill.models import catalogue, lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.batch.differences import Differences
    from tidemill.batch.summary import Summary
    from tidemill.bootstrap.batch import EngineName
    from tidemill.inference.route import Route
    from tidemill.settings import Settings

OUTPUTS = ("jsonl", KAFKA)


def backfill(
    settings: Settings,
    topic: str,
    target: str,
    show: Callable[..., None],
    *,
    model: str | None = None,
    bounds: Bounds,
    with_live: bool = True,
    engine: EngineName = "auto",
    part_rows: int = PART_ROWS,
) -> tuple[Summary, Differences | None]:
    """Answer a range of a topic, and return how that differs from the stream's outcomes.

    With `model`, run only this one, on the messages that its entry matches.

    Raises:
        TidemillError: The topic cannot be read, the output exists, or a model does not work.

    """
    routes = catalogue.load_models(settings.models)
    if model is not None:
        routes = one_model(routes, model)
    output = place(target, "jsonl")
    check_output(settings, output)
    places = Place(KAFKA, topic), output
    order, formats = order_of(
        settings, routes, places, bounds, part_rows=part_rows, only_matching=model is not None
    )
    if with_live:
        names = None if model is None else frozenset(spec.name for spec in all_specs(routes))
        stream = settings.stream
        comparison = Comparison(
            settings.kafka, stream.output_topic, stream.dead_letter_topic, names
        )
        comparison.check()
        plain = formats[output.format]
        finish = partial(compare_and_finish, comparison, plain.finish)
        formats = formats | {output.format: replace(plain, finish=finish)}
    summary = batches.run(order, formats, engines(settings, routes, engine, show), show=show)
    found = read_differences(order.folder or output.location) if with_live else None
    return summary, found


def one_model(routes: Sequence[Route], name: str) -> tuple[Route, ...]:
    """Return the routes of one entry, or of one version of it, without other variants.

    Raises:
        UnknownModel: There is no such entry.
        InvalidSelection: It answers no messages.

    """
    selected = lookup.select(routes, [name])
    chosen = []
    for route in routes:
        variants = tuple(variant for each, variant in selected if each is route)
        if variants and route.match is not None:
            chosen.append(msgspec.structs.replace(route, variants=variants))
    if not chosen:
        advice = "Its entry has no `match`, so only servers run it."
        raise InvalidSelection(name, "a model that answers messages", advice)
    return tuple(chosen)


def check_output(settings: Settings, output: Place) -> None:
    """Check that a backfill writes nothing that the stream reads or writes.

    Raises:
        OutputUnusable: It would, or the format cannot be compared.

    """
    if output.format not in OUTPUTS:
        hint = "Name a new folder, or kafka:TOPIC."
        raise OutputUnusable(output.location, f"a backfill writes no {output.format}", hint)
    stream = settings.stream
    for name in (output.location, dead_letter_topic(settings, output.location)):
        live = name in {stream.output_topic, stream.dead_letter_topic} or is_input(stream, name)
        if output.format == KAFKA and live:
            reason = "the stream uses it, so its readers would see results twice"
            raise OutputUnusable(f"topic {name}", reason, "Name another topic.")
