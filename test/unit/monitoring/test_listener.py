from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.monitoring.listener import ProgressListener

if TYPE_CHECKING:
    import pytest

    from app.monitoring.progress import Progress


@dataclass
class Report:
    """What the listener reads of a report."""

    json: str


@dataclass
class Event:
    """What Spark hands to a listener."""

    progress: Report


def event(batch: int) -> Event:
    """Return a report on a micro-batch."""
    return Event(Report(f'{{"batchId": {batch}, "sources": []}}'))


class TestProgressListener:
    """Every report is handed on."""

    def test_progress(self) -> None:
        """Read, in order."""
        taken: list[Progress] = []
        listener: Any = ProgressListener(taken.append)
        listener.onQueryProgress(event(1))
        listener.onQueryProgress(event(2))
        assert [progress.batch for progress in taken] == [1, 2]

    def test_idle(self) -> None:
        """So is word of having nothing to do."""
        heard: list[str] = []
        listener: Any = ProgressListener(print, lambda: heard.append("idle"))
        listener.onQueryIdle(object())
        assert heard == ["idle"]

    def test_other_events(self) -> None:
        """Start and end are no reports."""
        taken: list[Progress] = []
        listener: Any = ProgressListener(taken.append)
        listener.onQueryStarted(object())
        listener.onQueryTerminated(object())
        assert taken == []

    def test_not_understood(self, caplog: pytest.LogCaptureFixture) -> None:
        """A report that is not as expected is logged, and the next one is heard."""
        taken: list[Progress] = []
        listener: Any = ProgressListener(taken.append)
        with caplog.at_level(logging.ERROR):
            listener.onQueryProgress(Event(Report("{}")))
        listener.onQueryProgress(event(2))
        assert [progress.batch for progress in taken] == [2]
