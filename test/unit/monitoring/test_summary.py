from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from tidemill.monitoring.summary import Summary
from tidemill.streaming.progress import Latencies, Progress

if TYPE_CHECKING:
    from clock import Clock


def batch(number: int, results: int = 2) -> Progress:
    """Return a micro-batch with one dead letter."""
    outcomes: dict[tuple[str | None, str | None], int] = {("m:1", None): results, (None, "X"): 1}
    return Progress(
        number, results + 1, outcomes=outcomes, latencies=Latencies(quantiles=(0.1, 0.25, 0.5))
    )


class TestSummary:
    """The log shows that the job works, without a line for each micro-batch."""

    def test_first(self, clock: Clock) -> None:
        """The first micro-batch is logged at once."""
        with capture_logs() as lines:
            Summary(clock).record(batch(0))
        assert lines == [
            {
                "event": "answered",
                "log_level": "info",
                "results": 2,
                "dead_letters": 1,
                "batches": 1,
                "last": 0,
                "latency_p95": "0.250 s",
            }
        ]

    def test_next(self, clock: Clock) -> None:
        """The following ones are summed up after ten seconds."""
        summary = Summary(clock)
        summary.record(batch(0))
        with capture_logs() as lines:
            for number in range(1, 12):
                clock.now += 1
                summary.record(batch(number))
            summary.flush()
        assert [(line["batches"], line["results"], line["last"]) for line in lines] == [
            (10, 20, 10),
            (1, 2, 11),
        ]

    def test_nothing(self, clock: Clock) -> None:
        """Without messages, nothing is logged."""
        summary = Summary(clock)
        with capture_logs() as lines:
            summary.record(Progress(3))
            summary.flush()
        assert lines == []
