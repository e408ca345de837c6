from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.monitoring.listener import ProgressListener


@dataclass
class Progress:
    """What the listener reads of a report."""

    json: str


@dataclass
class Event:
    """What Spark hands to a listener."""

    progress: Progress


class TestProgressListener:
    """Every report is handed on."""

    def test_progress(self) -> None:
        """As JSON, in order."""
        taken: list[str] = []
        listener: Any = ProgressListener(taken.append)
        listener.onQueryProgress(Event(Progress("{1}")))
        listener.onQueryProgress(Event(Progress("{2}")))
        assert taken == ["{1}", "{2}"]

    def test_other_events(self) -> None:
        """Start and end are no reports."""
        taken: list[str] = []
        listener: Any = ProgressListener(taken.append)
        listener.onQueryStarted(object())
        listener.onQueryTerminated(object())
        assert taken == []
