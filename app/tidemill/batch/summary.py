"""Add up what a batch has done."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tidemill.batch.plan import KAFKA, offset_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.batch.plan import Plan
    from tidemill.batch.staging import Receipt


class Summary(msgspec.Struct, frozen=True):
    """The numbers of a batch: messages = results + dead letters + skipped.

    Attributes:
        input: The format and place of the input.
        output: The format and place of the output.
        engine: What ran the models: `local` or `spark`.
        messages: The rows of the input that are not blank.
        results: Those with a result.
        dead_letters: Those with a dead letter.
        skipped: Those that no model of a backfill matches.
        models: The number of results by `name:version`.
        errors: The number of dead letters by the class of the error.
        continued: How many messages an earlier run of the same command had answered.
        first_seconds: The time from the start of this run to its first answers.
        seconds: The time that this run took.
        warnings: What a reader of the results should know.
        offsets: The first offset of each partition of a topic, and the one after the last.
        id: The run's own, which no other run has.

    """

    input: str
    output: str
    engine: str
    messages: int
    results: int
    dead_letters: int
    skipped: int
    models: dict[str, int]
    errors: dict[str, int]
    continued: int
    first_seconds: float | None
    seconds: float
    warnings: list[str] = []
    offsets: dict[int, tuple[int, int]] = {}
    id: str = ""

    @property
    def rate(self) -> float:
        """The messages that this run answered in a second."""
        return (self.messages - self.continued) / max(self.seconds, 1e-9)


def add_up(
    plan: Plan,
    receipts: Iterable[Receipt],
    engine: str,
    *,
    continued: int,
    first_seconds: float | None,
    seconds: float,
) -> Summary:
    """Return the summary of a batch whose parts are all committed."""
    messages = missing = 0
    models: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for receipt in receipts:
        messages += receipt.rows
        missing += receipt.missing
        models.update(receipt.models)
        errors.update(receipt.errors)
    results, dead_letters = models.total(), errors.total()
    warnings = list(plan.source.warnings)
    ranges = offset_ranges(plan) if plan.source.format == KAFKA else {}
    if missing:
        warnings.append(f"retention removed {missing:,} offsets before this batch read them")
    return Summary(
        input=f"{plan.source.format}:{plan.source.location}",
        output=":".join(plan.target),
        engine=engine,
        messages=messages,
        results=results,
        dead_letters=dead_letters,
        skipped=messages - results - dead_letters,
        models=dict(sorted(models.items())),
        errors=dict(sorted(errors.items())),
        continued=continued,
        first_seconds=first_seconds,
        seconds=round(seconds, 3),
        warnings=warnings,
        offsets={partition: (each.start, each.stop) for partition, each in ranges.items()},
        id=plan.id,
    )
