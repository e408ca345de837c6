"""Compare a backfill with the stream's outcomes before it is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from tidemill.batch.differences import Difference, Differences, LiveOutcomes, compare
from tidemill.batch.outcomes import live_outcomes, staged_lines, staged_records
from tidemill.batch.plan import offset_ranges
from tidemill.batch.storage import Storage
from tidemill.errors import TopicMissing
from tidemill.kafka import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.batch.differences import Answer, Located
    from tidemill.batch.plan import Plan
    from tidemill.batch.staging import Staging
    from tidemill.settings import KafkaSettings

log = structlog.get_logger(__name__)

COUNTS, ALL = "differences.json", "differences.jsonl"
READERS: dict[str, Callable[[Staging], Iterator[Located]]] = {
    "jsonl": staged_lines,
    "kafka": staged_records,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to compare a backfill with.

    Attributes:
        kafka: How to connect.
        results: The stream's topic of results.
        dead_letters: The stream's topic of dead letters.
        models: The names of the models that the backfill runs, if it does not run all.

    """

    kafka: KafkaSettings
    results: str
    dead_letters: str
    models: frozenset[str] | None

    def check(self) -> None:
        """Check that both topics exist.

        Raises:
            TopicMissing: One does not.

        """
        for topic in (self.results, self.dead_letters):
            self._spans(topic)

    def concerns(self, answer: Answer) -> bool:
        """Tell whether the backfill would have answered the message of a live outcome."""
        return self.models is None or (answer.model or "").rpartition(":")[0] in self.models

    def live(self, plan: Plan) -> Iterator[tuple[Located, int]]:
        """Yield the stream's outcomes of a plan's range, and when each was written."""
        results, dead_letters = self.results, self.dead_letters
        topics = (results, self._spans(results)), (dead_letters, self._spans(dead_letters))
        return live_outcomes(self.kafka, (plan.source.location, offset_ranges(plan)), topics)

    def _spans(self, topic: str) -> dict[int, range]:
        spans = ranges.offset_ranges(self.kafka, topic)
        if not spans:
            raise TopicMissing(topic, "To compare with nothing, add --no-compare.")
        return spans


def compare_and_finish(
    comparison: Comparison, finish: Callable[[Staging], None], staging: Staging
) -> None:
    """Write the differences from the stream's outcomes into a run's folder, and complete it."""
    plan = staging.plan()
    # A run that was killed later has compared, and may have dropped its parts.
    if plan and not staging.exists(COUNTS):
        log.info("comparing with the stream's results", topic=comparison.results)
        with LiveOutcomes() as live, staging.opened(ALL) as file:
            for located, written in comparison.live(plan):
                live.add(located, written)

            def write(difference: Difference) -> None:
                file.write(msgspec.json.encode(difference) + b"\n")

            counts, sample = compare(
                READERS[plan.target[0]](staging), live, write, is_expected=comparison.concerns
            )
        found = Differences(
            [comparison.results, comparison.dead_letters],
            counts["same"],
            counts["changed"],
            counts["new"],
            counts["missing"],
            sample,
        )
        staging.write(COUNTS, msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    finish(staging)


def read_differences(folder: str) -> Differences:
    """Return what a published backfill has found."""
    storage = Storage(folder)
    with storage.filesystem.open_input_stream(f"{storage.root}/{COUNTS}") as file:
        return msgspec.json.decode(file.read(), type=Differences)
