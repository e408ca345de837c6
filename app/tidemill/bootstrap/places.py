"""Turn the words of a command line into the inputs and outputs of a batch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tidemill.batch import run as batches
from tidemill.batch.formats import FORMATS, detect, parse
from tidemill.batch.plan import KAFKA
from tidemill.batch.run import Order, Place
from tidemill.errors import InvalidSelection, OutputExists, OutputUnusable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.batch.formats import Format
    from tidemill.inference.route import Route
    from tidemill.settings import Settings

# The summaries of batches whose output is a topic.
SUMMARIES = ".tidemill/batch"


class Bounds(NamedTuple):
    """The ends of a range of a topic, as the user wrote them, if so."""

    start: str | None = None
    stop: str | None = None


def place(text: str, default: str | None = None) -> Place:
    """Return an input or output. Without a default format, the files tell it.

    Raises:
        InputUnreadable: There are no files.

    """
    name, location = parse(text)
    return Place(name or default or detect(location), location)


def dead_letter_topic(settings: Settings, topic: str) -> str:
    """Return where the dead letters of an output topic go."""
    stream = settings.stream
    return stream.dead_letter_topic if topic == stream.output_topic else f"{topic}.dlq"


def order_of(
    settings: Settings,
    routes: Sequence[Route],
    places: tuple[Place, Place],
    bounds: Bounds,
    *,
    part_rows: int,
    only_matching: bool = False,
) -> tuple[Order, dict[str, Format]]:
    """Return what to do, and the formats for it.

    Raises:
        InvalidSelection: The range is malformed, or the input has none.
        TopicMissing: A topic of the output does not exist.
        OutputExists: The same batch has been sent to the topic before.
        OutputUnusable: The batch would read what it writes.

    """
    source, target = places
    if KAFKA not in {source.format, target.format}:
        if given := next(filter(None, bounds), None):
            advice = "Only topics have a range: --input kafka:TOPIC."
            raise InvalidSelection(given, "an option for files and tables", advice)
        return Order(source, target, routes, part_rows, only_matching), FORMATS

    from tidemill.batch.formats.kafka import kafka_format  # noqa: PLC0415 - an extra
    from tidemill.batch.offset_range import EARLIEST, LATEST, parse_range  # noqa: PLC0415

    wanted = parse_range(bounds.start or EARLIEST, bounds.stop or LATEST)
    if target.format != KAFKA:
        topics = {KAFKA: kafka_format(settings.kafka, wanted, part_rows)}
        return Order(source, target, routes, part_rows, only_matching), FORMATS | topics

    from tidemill.kafka.output_limits import output_topics  # noqa: PLC0415 - an extra

    dead_letters = dead_letter_topic(settings, target.location)
    if source.format == KAFKA and source.location in {target.location, dead_letters}:
        raise OutputUnusable(f"topic {target.location}", "the batch reads it", "Name another.")
    parts = [*source, wanted.text, target.location, batches.digest(routes)]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    folder = f"{SUMMARIES}/{target.location}/{name}"
    if Path(folder).exists():
        hint = f"This batch has been sent to {target.location}. To repeat it, remove the folder."
        raise OutputExists(folder, hint)
    outputs = output_topics(settings.kafka, target.location, dead_letters)
    topics = {KAFKA: kafka_format(settings.kafka, wanted, part_rows, outputs)}
    whole = Order(source, target, routes, part_rows, only_matching, folder)
    return whole, FORMATS | topics
