from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.errors import StreamingQueryException

from tidemill.bootstrap.query import run_query
from tidemill.errors import GroupHasMembers
from tidemill.settings import PoolSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT = '{"batchId": 7, "sources": []}'
POOL = PoolSettings(processes=3)
DELETED = StreamingQueryException("Partitions Set(a-0) have been deleted")


class Parts:
    """Stand for everything around a query; note what is used and what is recorded."""

    def __init__(self, outcome: str | Exception | None, report: str | None = None) -> None:
        self.order: list[str] = []
        self.recorded: list[str] = []
        self._outcome = outcome
        self.lastProgress = report and SimpleNamespace(json=report)

    # What a delivery and its run have.
    starting_offsets = "earliest"
    plan = SimpleNamespace(
        changes=SimpleNamespace(removed={}),
        state=SimpleNamespace(offset_log=SimpleNamespace(is_used=False)),
        topic_record=lambda: None,
    )

    def take_over(self) -> Parts:
        """Begin a run."""
        self.order.append("take over")
        return self

    @contextmanager
    def track_offsets(self) -> Iterator[Any]:
        """Track the group's offsets."""
        with self._noted("offsets"):
            yield SimpleNamespace(
                record=lambda _: self.recorded.append("offsets"), check=lambda: None
            )

    # What the observers have.
    health = SimpleNamespace(heartbeat=lambda: None)

    @contextmanager
    def export(self, _: object) -> Iterator[None]:
        """Export metrics."""
        with self._noted("export"):
            yield

    def idle(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Log the summary."""
        self.order.append("flush")

    # What the watchdog of the topics has.
    def poll(self) -> None:
        """Look at the topics."""

    def check(self) -> None:
        """Find nothing wrong."""

    def close(self) -> None:
        """Close the connection."""
        self.order.append("topics closed")

    def record(self, _: object) -> None:
        """Take a report."""
        self.recorded.append("topics")

    # What the query has.
    def stop(self) -> None:
        """Stop writing."""
        self.order.append("query stopped")

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        self.order.append(name)
        yield
        self.order.append(f"{name} end")

    def _start(self, *_: object, pool: PoolSettings, **__: object) -> Any:  # noqa: ANN401 - a query
        assert pool is POOL
        self.order.append("query")
        return self

    def _wait(self, *_: object) -> str | None:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def run(self) -> bool:
        """Run a query with these parts."""
        spark: Any = SimpleNamespace(
            sparkContext=SimpleNamespace(master="yarn"),
            streams=SimpleNamespace(addListener=lambda _: None, removeListener=lambda _: None),
        )
        parts: Any = self
        return run_query(
            spark,
            Settings(),
            [],
            parts,
            pool=POOL,
            observers=parts,
            stop_reason=lambda: None,
            check_topics=lambda *_: ({}, []),
            watch_topics=lambda *_: parts,
            start=self._start,
            wait=self._wait,
        )


BEGIN = ["take over", "offsets", "export", "query"]
END = ["query stopped", "topics closed", "export end", "offsets end"]


class TestRunQuery:
    """A query runs with its watchdogs, and stops before they end."""

    @pytest.mark.parametrize("reason", ["signal", None])
    def test_order(self, reason: str | None) -> None:
        """The query stops first, so that nothing is written that nobody watches."""
        parts = Parts(reason)
        assert parts.run()
        assert parts.order == [*BEGIN, "flush", *END]
        assert parts.recorded == []

    def test_last_report(self) -> None:
        """The last report is recorded, because the listener may not have received it."""
        parts = Parts("signal", REPORT)
        assert parts.run()
        assert parts.recorded == ["topics", "offsets"]

    @pytest.mark.parametrize(
        "error", [StreamingQueryException("it failed"), GroupHasMembers("g", ["m"]), DELETED]
    )
    def test_failure(self, error: Exception) -> None:
        """Everything ends; a topic that is lost before any progress is a failure, too."""
        parts = Parts(error)
        with pytest.raises(type(error)):
            parts.run()
        assert parts.order[: len(BEGIN)] == BEGIN
        assert parts.order[len(BEGIN)] == "query stopped"

    def test_deleted_topic(self) -> None:
        """A query that lost a topic after some progress must start again."""
        parts = Parts(DELETED, REPORT)
        assert not parts.run()
        assert parts.order == [*BEGIN, *END]
        assert parts.recorded == ["topics"]
