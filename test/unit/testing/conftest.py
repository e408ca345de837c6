"""Run the kit as an author of a model does, on the models in test/doubles/broken_models.py."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tidemill.testing import generated

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "test_"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the kit said."""

    failed: set[str]
    outcomes: dict[str, int]
    output: str


@pytest.fixture
def write_entries(pytester: pytest.Pytester) -> Callable[..., None]:
    """Return what writes a models.yaml: `write_entries("Lengths", echo="all")`."""

    def write(*classes: str, **fields: Any) -> None:  # noqa: ANN401 - ModelSpec's fields
        entries = [
            {
                "name": name.lower(),
                "version": "1",
                "adapter": f"broken_models:{name}",
                "match": {"is": name},
                "sample": "A sample",
                "result": "answer",
                **fields,
            }
            for name in classes
        ]
        text = yaml.safe_dump({"models": entries}, allow_unicode=True)
        (pytester.path / "models.yaml").write_text(text, "utf-8")

    return write


@pytest.fixture
def run_kit(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Return what runs pytest on arguments, without the plugins that happen to be installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    # A busy machine is to find the smallest text, too.
    monkeypatch.setattr(generated, "MAX_S", 600.0)

    def run(*arguments: str) -> Run:
        gc.collect()  # sockets that earlier tests left would count as this run's warnings
        result = pytester.runpytest_inprocess(
            "-p", "tidemill.testing.plugin", "-Wdefault", *arguments
        )
        reports = [r for r in result.reprec.getreports() if hasattr(r, "when")]  # type: ignore[attr-defined]
        failed = {r.location[2].partition(PREFIX)[2].partition("[")[0] for r in reports if r.failed}
        return Run(failed, result.parseoutcomes(), result.stdout.str())

    return run


@pytest.fixture
def check(write_entries: Callable[..., None], run_kit: Callable[..., Run]) -> Callable[..., Run]:
    """Return what runs the contract of one class: `check("Reorders")`."""

    def run(name: str, **fields: Any) -> Run:  # noqa: ANN401 - ModelSpec's fields
        write_entries(name, **fields)
        return run_kit("models.yaml")

    return run
