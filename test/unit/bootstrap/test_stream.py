from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dev.pipeline.models import model_entry
from tidemill.bootstrap.stream import stream
from tidemill.errors import InvalidTopics, ModelLoadFailed, Problem, QueryFailed
from tidemill.settings import PoolSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Parts:
    """Stand for the parts of a program; note the order in which they are used."""

    def __init__(self, fail_in: str | None = None, error: Exception | None = None) -> None:
        self.order: list[str] = []
        self.reasons: list[str | None] = []  # what `stop_reason` returns, call by call
        self.queries = [True]  # what each run of the query returns
        self.pool: object = None  # the warm-up's
        self._fail_in, self._error = fail_in, error

    def _note(self, name: str) -> None:
        self.order.append(name)
        if name == self._fail_in and self._error:
            raise self._error

    def check(self, *_: object) -> None:
        """Stand for the check of Kafka."""
        self._note("check")

    @contextmanager
    def session(self, _: Settings) -> Iterator[Any]:
        """Stand for Spark."""
        self._note("session")
        try:
            yield FakeSpark()
        finally:
            self.order.append("session ends")

    def load(self, *arguments: object) -> None:
        """Stand for the warm-up."""
        self.pool = arguments[-1]
        self._note("load")

    def stop_requests(self, _: str) -> Any:  # noqa: ANN401 - a function
        """Return the prepared reasons, then none."""
        self._note("handlers")
        return lambda: self.reasons.pop(0) if self.reasons else None

    def query(self, *_: object, pool: object, **__: object) -> bool:
        """Stand for a run of the query, which uses the pool that the warm-up started."""
        assert pool == self.pool == PoolSettings(processes=1)
        self._note("query")
        return self.queries.pop(0)

    def run(self, settings: Settings) -> list[str]:
        """Run the program with these parts; return their order."""
        stream(
            settings,
            check=self.check,
            run_session=self.session,
            stop_requests=self.stop_requests,
            load_models=self.load,
            query=self.query,
        )
        return self.order


class FakeSpark:
    """A local session with one core, whose configuration is empty."""

    sparkContext = property(lambda self: self)  # noqa: N815 - Spark's name
    master = "local[1]"
    defaultParallelism = 1  # noqa: N815 - Spark's name

    def getConf(self) -> dict[str, str]:  # noqa: N802 - Spark's name
        """Return no settings."""
        return {}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with one model, and without a metrics port."""
    models = tmp_path / "models.yaml"
    models.write_text(yaml.safe_dump({"models": [model_entry("Upper")]}))
    return Settings.model_validate(
        {
            "models": models,
            "monitoring": {"metrics_port": None},
            "stream": {"checkpoint_location": str(tmp_path / "checkpoint")},
        }
    )


START = ["check", "session", "handlers", "load"]


class TestStream:
    """The streaming job uses its parts in order, and ends what it has begun."""

    def test_order(self, settings: Settings) -> None:
        """Kafka is checked before Spark starts, and models are loaded before the query runs."""
        assert Parts().run(settings) == [*START, "query", "session ends"]

    def test_unfit_topics(self, settings: Settings) -> None:
        """Nothing starts if the topics do not fit."""
        parts = Parts("check", InvalidTopics([Problem("x")]))
        with pytest.raises(InvalidTopics):
            parts.run(settings)
        assert parts.order == ["check"]

    def test_model_that_does_not_load(self, settings: Settings) -> None:
        """Spark ends, and no query starts."""
        parts = Parts("load", ModelLoadFailed("m:1", OSError()))
        with pytest.raises(ModelLoadFailed):
            parts.run(settings)
        assert parts.order == [*START, "session ends"]

    def test_failed_query(self, settings: Settings) -> None:
        """Spark ends, and the error is passed on."""
        parts = Parts("query", QueryFailed("x"))
        with pytest.raises(QueryFailed):
            parts.run(settings)
        assert parts.order == [*START, "query", "session ends"]

    def test_stop_while_loading(self, settings: Settings) -> None:
        """A stop that is asked for while the models load prevents the query."""
        parts = Parts()
        parts.reasons = ["signal"]
        assert parts.run(settings) == [*START, "session ends"]

    def test_restarted_query(self, settings: Settings) -> None:
        """A query that lost a topic runs again."""
        parts = Parts()
        parts.queries = [False, False, True]
        assert parts.run(settings) == [*START, "query", "query", "query", "session ends"]

    def test_stop_between_queries(self, settings: Settings) -> None:
        """It does not run again if the job was asked to stop meanwhile."""
        parts = Parts()
        parts.queries = [False, True]
        parts.reasons = [None, "stop marker"]
        assert parts.run(settings) == [*START, "query", "session ends"]
