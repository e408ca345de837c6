"""Whether every message has its one outcome: read from the topics, without a look at the job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.pipeline import records
from faults.offline import expected
from faults.outcomes import outcome, source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dev.pipeline.records import Record
    from faults.outcomes import Outcome, Source
    from tidemill.inference.model import ModelSpec

MOST_NAMED = 20  # of a kind, in a rendering


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the messages; each tuple names those of which it is not true.

    Attributes:
        inputs: Messages.
        outcomes: Records on the output and the dead-letter topic.
        lost: Messages without an outcome.
        duplicates: Messages of outcomes beyond their first, one for each.
        unlike: Those of the duplicates that differ from the first, times apart: a reader who drops
            what has the same `tidemill.source.*` would drop something else.
        strange: Records that are of no message.
        altered: Messages whose first outcome is not that of an offline run, times apart.
        inversions: Messages whose first outcome stands after that of a later one with their key.

    """

    inputs: int
    outcomes: int
    lost: tuple[Source, ...] = ()
    duplicates: tuple[Source, ...] = ()
    unlike: tuple[Source, ...] = ()
    strange: tuple[str, ...] = ()
    altered: tuple[Source, ...] = ()
    inversions: tuple[Source, ...] = ()

    @property
    def faults(self) -> dict[str, tuple[object, ...]]:
        """What was found, by its kind."""
        kinds = ("lost", "duplicates", "unlike", "strange", "altered", "inversions")
        return {kind: found for kind in kinds if (found := getattr(self, kind))}

    def holds(self, *, exactly_once: bool) -> bool:
        """Tell whether the delivery's promise was kept; at least once may repeat what is alike."""
        return not (self.faults if exactly_once else self.faults.keys() - {"duplicates"})

    def __str__(self) -> str:
        lines = [f"{self.inputs} messages, {self.outcomes} outcomes"]
        for kind, found in self.faults.items():
            more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
            named = ", ".join(map(str, found[:MOST_NAMED]))
            lines.append(f"{len(found)} {kind}: {named}{more}")
        return "\n".join(lines)


def check(
    bootstrap_servers: str,
    *,
    inputs: Sequence[str],
    output: str,
    dead_letters: str,
    specs: Sequence[ModelSpec],
) -> Verdict:
    """Read all topics, read_committed, and judge."""
    sent = [record for topic in inputs for record in records.read(bootstrap_servers, topic)]
    written = [
        record
        for topic in (output, dead_letters)
        for record in records.read(bootstrap_servers, topic)
    ]
    return judge(written, expected(sent, specs, output, dead_letters), output)


def judge(written: Iterable[Record], wanted: Mapping[Source, Outcome], output: str) -> Verdict:
    """Hold outcomes, in the order of each partition, against what each message must come to."""
    first: dict[Source, Outcome] = {}
    duplicates, unlike, strange = [], [], []
    order: dict[tuple[str, bytes | None, str, int], list[int]] = {}
    count = 0
    for record in written:
        count += 1
        at, said = source(record), outcome(record, output)
        if at not in wanted:
            strange.append(f"{record.topic}/{record.partition}/{record.offset} is of {at}")
        elif at in first:
            duplicates.append(at)
            if said != first[at]:
                unlike.append(at)
        else:
            first[at] = said
            # Keys have a partition, what has no key has no order.
            if record.key is not None:
                line = (record.topic, record.key, *at[:2])
                order.setdefault(line, []).append(at[2])
    return Verdict(
        inputs=len(wanted),
        outcomes=count,
        lost=tuple(sorted(wanted.keys() - first.keys())),
        duplicates=tuple(duplicates),
        unlike=tuple(unlike),
        strange=tuple(strange),
        altered=tuple(sorted(at for at, said in first.items() if said != wanted[at])),
        inversions=tuple(
            (topic, partition, offset)
            for (_, _, topic, partition), offsets in order.items()
            for offset in _out_of_order(offsets)
        ),
    )


def _out_of_order(offsets: Iterable[int]) -> list[int]:
    """Return the offsets that stand after a greater one."""
    greatest, found = -1, []
    for offset in offsets:
        if offset < greatest:
            found.append(offset)
        greatest = max(greatest, offset)
    return found
