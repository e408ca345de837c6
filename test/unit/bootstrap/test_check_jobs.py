"""Tests of what `tidemill check` says about jobs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tidemill.bootstrap.check_jobs import check_jobs
from tidemill.errors import InvalidJob, MissingExtra
from tidemill.settings import Settings, TasksSettings

if TYPE_CHECKING:
    from tidemill.check import CheckResult


class NoRun:
    """Cannot run."""


class NoSchema:
    """Takes what no program could spell in JSON."""

    def run(self, parameters: object, report: object) -> object:
        """Return nothing."""

    run.__annotations__["parameters"] = "NoRun"


def check(**jobs: str) -> list[CheckResult]:
    """Return the results for jobs, given by their classes."""
    tasks = TasksSettings(jobs={name: {"job": path} for name, path in jobs.items()})
    return [*check_jobs(Settings(tasks=tasks))]


class TestCheck:
    """Before a start, each job's class is imported, and its parameters get a schema."""

    def test_good(self) -> None:
        """A good job shows its parameters."""
        found = check(score="tidemill.jobs:Batch", count="long_jobs:Improve")
        assert [(each.subject, each.message, each.error) for each in found] == [
            ("job score", "tidemill.jobs:Batch takes input, output, model", None),
            ("job count", "long_jobs:Improve takes an object", None),
        ]

    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            ("nowhere:Job", "No module named 'nowhere'"),
            ("json:Job", "has no attribute 'Job'"),
            (f"{__name__}:NoRun", "has no method run"),
            (f"{__name__}:NoSchema", "its parameters have no schema"),
        ],
    )
    def test_bad(self, path: str, problem: str) -> None:
        """A class that cannot be used is an error that says why, and others are checked, too."""
        bad, good = check(bad=path, good="tidemill.jobs:Predict")
        assert isinstance(bad.error, InvalidJob)
        assert (bad.subject, good.error) == ("job bad", None)
        assert problem in str(bad.error)
        assert "`tasks.jobs`" in bad.hint

    def test_no_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the extra that jobs need, one result says what to install."""
        monkeypatch.delitem(sys.modules, "tidemill.bootstrap.tasks", raising=False)
        monkeypatch.setitem(sys.modules, "sqlalchemy", None)
        monkeypatch.delitem(sys.modules, "tidemill.tasks.tasks", raising=False)
        (result,) = check(score="tidemill.jobs:Batch")
        assert isinstance(result.error, MissingExtra)
        assert "tidemill[store]" in result.hint

    def test_none(self) -> None:
        """Without jobs there is no result."""
        assert check() == []
