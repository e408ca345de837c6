from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.streaming.listener import ProgressListener

if TYPE_CHECKING:
    from tidemill.streaming.progress import Progress


class Java:
    """A Java object whose methods give these values."""

    def __init__(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self, name, lambda value=value: value)


def event(batch: int | None = None, run: str = "ours", name: str | None = "tidemill") -> Java:
    """Return what Spark hands to a listener: a report on a micro-batch, of a query's run."""
    run_id = Java(toString=run)
    report = "{}" if batch is None else f'{{"batchId": {batch}, "sources": []}}'
    return Java(progress=Java(json=report, runId=run_id), runId=run_id, name=name)


@pytest.fixture
def taken() -> list[Progress | str]:
    """What was handed on."""
    return []


@pytest.fixture
def listener(taken: list[Progress | str]) -> Any:  # noqa: ANN401 - its events here are not Spark's
    """A listener that has heard of the start of its query."""
    made: Any = ProgressListener("tidemill", taken.append, lambda: taken.append("idle"))
    made.onQueryStarted(event())
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
        listener.onQueryIdle(event())
        assert taken == ["idle"]

    def test_end(self, listener: Any, taken: list[Any]) -> None:  # noqa: ANN401
        """An end is no report."""
        listener.onQueryTerminated(event())
        assert taken == []

    def test_others(self, listener: Any, taken: list[Any]) -> None:  # noqa: ANN401
        """Other queries of the session are none of ours."""
        listener.onQueryStarted(event(run="theirs", name="other"))
        listener.onQueryStarted(event(run="theirs", name=None))
        listener.onQueryProgress(event(7, run="theirs"))
        listener.onQueryIdle(event(run="theirs"))
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
            listener.onQueryProgress(event())
        listener.onQueryProgress(event(2))
        assert [progress.batch for progress in taken] == [2]
