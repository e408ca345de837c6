"""Check that every message has its one outcome; read only the topics, never the job."""

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

MAX_NAMED = 20  # messages of a kind in str()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts, and the messages for which something is wrong.

    Attributes:
        inputs: The number of messages.
        outcomes: The number of records on the output and the dead-letter topic.
        lost: Messages without an outcome.
        duplicates: The message of each outcome after a message's first.
        unlike: The message of each duplicate that differs from the first outcome, apart from times.
            A reader who drops the second of two outcomes with the same `tidemill.source.*` headers
            would lose information.
        strange: Records whose headers name no message that was sent.
        altered: Messages whose first outcome differs from an offline run's, apart from times.
        inversions: Messages whose first outcome comes after that of a later message with the same
            key.

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
        """The kinds of faults that occurred, each with its messages."""
        kinds = ("lost", "duplicates", "unlike", "strange", "altered", "inversions")
        return {kind: messages for kind in kinds if (messages := getattr(self, kind))}

    def holds(self, *, exactly_once: bool) -> bool:
        """Return whether the promise was kept; at-least-once allows duplicates that are equal."""
        return not (self.faults if exactly_once else self.faults.keys() - {"duplicates"})

    def __str__(self) -> str:
        lines = [f"{self.inputs} messages, {self.outcomes} outcomes"]
        for kind, messages in self.faults.items():
            more = f" and {len(messages) - MAX_NAMED} more" if len(messages) > MAX_NAMED else ""
            named = ", ".join(map(str, messages[:MAX_NAMED]))
            lines.append(f"{len(messages)} {kind}: {named}{more}")
        return "\n".join(lines)


def check(
    bootstrap_servers: str,
    *,
    inputs: Sequence[str],
    output: str,
    dead_letters: str,
    specs: Sequence[ModelSpec],
) -> Verdict:
    """Read all topics with read_committed and compare them with an offline run."""
    sent = [record for topic in inputs for record in records.read(bootstrap_servers, topic)]
    written = [
        record
        for topic in (output, dead_letters)
        for record in records.read(bootstrap_servers, topic)
    ]
    return compare(written, expected(sent, specs, output, dead_letters), output)


def compare(written: Iterable[Record], wanted: Mapping[Source, Outcome], output: str) -> Verdict:
    """Compare outcomes, in the order of each partition, with the expected ones."""
    first: dict[Source, Outcome] = {}
    duplicates, unlike, strange = [], [], []
    order: dict[tuple[str, bytes | None, str, int], list[int]] = {}
    count = 0
    for record in written:
        count += 1
        message, actual = source(record), outcome(record, output)
        if message is None or message not in wanted:
            strange.append(f"{record.topic}/{record.partition}/{record.offset} is of {message}")
        elif message in first:
            duplicates.append(message)
            if actual != first[message]:
                unlike.append(message)
        else:
            first[message] = actual
            # Kafka keeps the order of messages with the same key only.
            if record.key is not None:
                sequence = (record.topic, record.key, *message[:2])
                order.setdefault(sequence, []).append(message[2])
    return Verdict(
        inputs=len(wanted),
        outcomes=count,
        lost=tuple(sorted(wanted.keys() - first.keys())),
        duplicates=tuple(duplicates),
        unlike=tuple(unlike),
        strange=tuple(strange),
        altered=tuple(
            sorted(message for message, actual in first.items() if actual != wanted[message])
        ),
        inversions=tuple(
            (topic, partition, offset)
            for (_, _, topic, partition), offsets in order.items()
            for offset in _out_of_order(offsets)
        ),
    )


def _out_of_order(offsets: Iterable[int]) -> list[int]:
    """Return the offsets that come after a greater one."""
    greatest, late = -1, []
    for offset in offsets:
        if offset < greatest:
            late.append(offset)
        greatest = max(greatest, offset)
    return late
