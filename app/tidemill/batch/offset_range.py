"""Find the offsets between two bounds, such as times, in a topic (pure)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tidemill.dead_letters.selection import read_time
from tidemill.errors import InvalidSelection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EARLIEST, LATEST = "earliest", "latest"
EXAMPLES = (
    "Write earliest, latest, a time such as 2026-11-24T05:49 (UTC, or with a zone: +01:00), an age "
    "such as 2d, an offset, or PARTITION:OFFSET,… such as 0:120,1:98."
)


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range: earliest, latest, or one of the attributes.

    Attributes:
        text: How the user wrote it.
        time: In milliseconds since the epoch; the first message at or after it is meant.
        offset: An offset for every partition.
        offsets: The offsets of some partitions.

    """

    text: str
    time: int | None = None
    offset: int | None = None
    offsets: Mapping[int, int] = field(default_factory=dict)


class Range(NamedTuple):
    """The messages from one bound to another; the second one is excluded."""

    start: Bound = Bound(EARLIEST)
    stop: Bound = Bound(LATEST)

    @property
    def text(self) -> str:
        """Both bounds as the user wrote them."""
        return f"{self.start.text}..{self.stop.text}"


def parse_range(start: str, stop: str) -> Range:
    """Return the range between two bounds.

    Raises:
        InvalidSelection: One is malformed, or the range ends before it begins.

    """
    now = time.time()
    parsed = Range(parse_bound(start, now), parse_bound(stop, now))
    pairs = [(parsed.start.time, parsed.stop.time), (parsed.start.offset, parsed.stop.offset)]
    pairs += [(begin, parsed.stop.offsets.get(p)) for p, begin in parsed.start.offsets.items()]
    if any(a is not None and b is not None and a > b for a, b in pairs):
        raise InvalidSelection(f"{start} to {stop}", "a range", "It ends before it begins.")
    return parsed


def parse_bound(text: str, now: float) -> Bound:
    """Return the bound that a text means; `now` is in seconds since the epoch.

    Raises:
        InvalidSelection: It has another form.

    """
    if text in {EARLIEST, LATEST}:
        return Bound(text)
    if re.fullmatch(r"\d{1,19}", text, re.ASCII):
        return Bound(text, offset=int(text))
    if re.fullmatch(r"\d{1,9}:\d{1,19}(,\d{1,9}:\d{1,19})*", text, re.ASCII):
        pairs = [pair.split(":") for pair in text.split(",")]
        offsets = {int(partition): int(offset) for partition, offset in pairs}
        if len(offsets) < len(pairs):
            raise InvalidSelection(text, "a bound of a range", "It names a partition twice.")
        return Bound(text, offsets=offsets)
    try:
        return Bound(text, time=read_time(text, now))
    except InvalidSelection:
        raise InvalidSelection(text, "a bound of a range", EXAMPLES) from None


def find_offsets(
    wanted: Range, spans: Mapping[int, range], at: Callable[[int], Mapping[int, int]]
) -> tuple[dict[int, range], list[str]]:
    """Return the offsets of each partition within a range, and warnings about missing ones.

    `spans` are the offsets that the topic has. `at` returns each partition's first offset at or
    after a time; without a partition, there is none. A partition that a bound does not name begins
    at its earliest and ends at its latest offset.

    Raises:
        InvalidSelection: A bound names a partition that does not exist.

    """
    for bound in wanted:
        if unknown := sorted(bound.offsets.keys() - spans.keys()):
            advice = f"The topic has no partition {unknown[0]}; it has {len(spans)}."
            raise InvalidSelection(bound.text, "a bound of a range", advice)
    starts, stops = (_offsets(bound, spans, at) for bound in wanted)
    found, gone, beyond = {}, {}, []
    for partition, span in spans.items():
        start = starts.get(partition, span.start)
        stop = stops.get(partition, span.stop)
        if lost := range(start, min(span.start, stop)):
            gone[partition] = lost
        if max(start, stop) > span.stop:
            beyond.append(partition)
        begin = min(max(start, span.start), span.stop)
        found[partition] = range(begin, max(begin, min(stop, span.stop)))
    return found, list(_warnings(wanted, spans, found, gone, beyond))


def _offsets(
    bound: Bound, spans: Mapping[int, range], at: Callable[[int], Mapping[int, int]]
) -> Mapping[int, int]:
    """Return the offsets that a bound names."""
    if bound.time is not None:
        first = at(bound.time)
        return {partition: first.get(partition, span.stop) for partition, span in spans.items()}
    if bound.offset is not None:
        return dict.fromkeys(spans, bound.offset)
    if bound.text == EARLIEST:
        return {partition: span.start for partition, span in spans.items()}
    if bound.text == LATEST:
        return {partition: span.stop for partition, span in spans.items()}
    return bound.offsets


def _warnings(
    wanted: Range,
    spans: Mapping[int, range],
    found: Mapping[int, range],
    gone: Mapping[int, range],
    beyond: list[int],
) -> Iterator[str]:
    if gone:
        yield lost_offsets(gone)
    if wanted.start.time is not None:
        oldest = [p for p, span in spans.items() if span.start and found[p].start == span.start]
        if oldest := [partition for partition in oldest if found[partition]]:
            yield (
                f"the oldest messages left in {_partitions(oldest)} are within the range: earlier "
                "ones of the range may have been removed"
            )
    if beyond:
        yield f"the range goes beyond the end of {_partitions(beyond)}, where this batch ended"


def lost_offsets(gone: Mapping[int, range]) -> str:
    """Return a sentence about offsets that the topic no longer has."""
    count = sum(map(len, gone.values()))
    shown = [f"{p}:{lost.start} to {p}:{lost.stop - 1}" for p, lost in sorted(gone.items())]
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""  # noqa: PLR2004
    return f"retention has removed {count:,} offsets of the range: {', '.join(shown[:3])}{more}"


def _partitions(partitions: list[int]) -> str:
    word = "partition" if len(partitions) == 1 else "partitions"
    return f"{word} {', '.join(map(str, sorted(partitions)))}"
