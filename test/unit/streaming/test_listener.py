from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.streaming.listener import ProgressListener

if TYPE_CHECKING:
    from tidemill.streaming.progress import Progress


class Java:
    """A Java object whose methods return these values."""

    def __init__(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self, name, lambda value=value: value)


def event(batch: int | None = None, run: str = "ours", name: str | None = "tidemill") -> Java:
    """Return an event of a query's run, with the report of a micro-batch."""
    run_id = Java(toString=run)
    report = "{}" if batch is None else f'{{"batchId": {batch}, "sources": []}}'
    return Java(progress=Java(json=report, runId=run_id), runId=run_id, name=name)


@pytest.fixture
def received() -> list[Progress | str]:
    """The events that the listener forwarded."""
    return []


@pytest.fixture
def listener(received: list[Progress | str]) -> Any:  # noqa: ANN401 - its events here are not Spark's
    """A listener that received the start of its query."""
    made: Any = ProgressListener("tidemill", received.append, lambda: received.append("idle"))
    made.onQueryStarted(event())
    return made


class TestProgressListener:
    """Every report of the query is forwarded."""

    def test_progress(self, listener: Any, received: list[Any]) -> None:  # noqa: ANN401
        """Reports are parsed and forwarded in order."""
        listener.onQueryProgress(event(1))
        listener.onQueryProgress(event(2))
        assert [progress.batch for progress in received] == [1, 2]

    def test_idle(self, listener: Any, received: list[Any]) -> None:  # noqa: ANN401
        """Idle events are forwarded."""
        listener.onQueryIdle(event())
        assert received == ["idle"]

    def test_end(self, listener: Any, received: list[Any]) -> None:  # noqa: ANN401
        """The end of a query is ignored."""
        listener.onQueryTerminated(event())
        assert received == []

    def test_others(self, listener: Any, received: list[Any]) -> None:  # noqa: ANN401
        """Other queries of the session are ignored."""
        listener.onQueryStarted(event(run="theirs", name="other"))
        listener.onQueryStarted(event(run="theirs", name=None))
        listener.onQueryProgress(event(7, run="theirs"))
        listener.onQueryIdle(event(run="theirs"))
        assert received == []
        listener.onQueryProgress(event(1))
        assert len(received) == 1

    def test_unexpected(
        self,
        listener: Any,  # noqa: ANN401
        received: list[Any],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A report in an unexpected format is logged, and the next one is forwarded."""
        with caplog.at_level(logging.ERROR):
            listener.onQueryProgress(event())
        listener.onQueryProgress(event(2))
        assert [progress.batch for progress in received] == [2]
