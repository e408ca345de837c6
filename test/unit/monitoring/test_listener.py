from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from app.monitoring.listener import ProgressListener

if TYPE_CHECKING:
    from app.monitoring.progress import Progress


@dataclass
class Report:
    """What the listener reads of a report."""

    json: str
    runId: str = "ours"  # noqa: N815 - Spark's name


@dataclass
class Event:
    """What Spark hands to a listener."""

    progress: Report = field(default_factory=lambda: Report("{}"))
    name: str | None = "tidemill"
    runId: str = "ours"  # noqa: N815 - Spark's name


def event(batch: int, run: str = "ours") -> Event:
    """Return a report on a micro-batch."""
    return Event(Report(f'{{"batchId": {batch}, "sources": []}}', run))


@pytest.fixture
def taken() -> list[Progress | str]:
    """What was handed on."""
    return []


@pytest.fixture
def listener(taken: list[Progress | str]) -> Any:  # noqa: ANN401 - its events here are not Spark's
    """A listener that has heard of the start of its query."""
    made: Any = ProgressListener("tidemill", taken.append, lambda: taken.append("idle"))
    made.onQueryStarted(Event())
    return made


class TestProgressListener:
    """Every report on the query is handed on."""

    def test_progress(self, listener: Any, taken: list[Any]) -> None:  # noqa: ANN401
        """Read, in order."""
        listener.onQueryProgress(event(1))
        listener.onQueryProgress(event(2))
        assert [progress.batch for progress in taken] == [1, 2]

    def test_idle(self, listener: Any, taken: list[Any]) -> None:  # noqa: ANN401
        """So is word of having nothing to do."""
        listener.onQueryIdle(Event())
        assert taken == ["idle"]

    def test_end(self, listener: Any, taken: list[Any]) -> None:  # noqa: ANN401
        """An end is no report."""
        listener.onQueryTerminated(Event())
        assert taken == []

    def test_others(self, listener: Any, taken: list[Any]) -> None:  # noqa: ANN401
        """Other queries of the session are none of ours."""
        listener.onQueryStarted(Event(name="other", runId="theirs"))
        listener.onQueryStarted(Event(name=None, runId="theirs"))
        listener.onQueryProgress(event(7, "theirs"))
        listener.onQueryIdle(Event(runId="theirs"))
        assert taken == []
        listener.onQueryProgress(event(1))
        assert len(taken) == 1

    def test_not_understood(
        self,
        listener: Any,  # noqa: ANN401
        taken: list[Any],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A report that is not as expected is logged, and the next one is heard."""
        with caplog.at_level(logging.ERROR):
            listener.onQueryProgress(Event(Report("{}")))
        listener.onQueryProgress(event(2))
        assert [progress.batch for progress in taken] == [2]
