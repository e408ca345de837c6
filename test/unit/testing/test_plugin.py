"""The plugin collects a models.yaml, and costs other tests nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

from dev import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from conftest import Run  # type: ignore[import-not-found]

pytest_plugins = ["pytester"]


class TestCollection:
    """`pytest models.yaml` runs the contract without a test file."""

    def test_named(self, write_entries: Callable[..., None], run_kit: Callable[..., Run]) -> None:
        """Each entry has its tests, whose names a person can read and run again."""
        write_entries("Lengths", "Picky")
        test = "models.yaml::TestModels::test_each_input_has_one_output"
        assert f"{test}[picky:1] PASSED" in run_kit("models.yaml", "-v", "-k", "each_input").output
        assert run_kit(f"{test}[lengths:1]").outcomes == {"passed": 1}

    def test_folder(self, write_entries: Callable[..., None], run_kit: Callable[..., Run]) -> None:
        """In a folder that pytest searches, the file is no test."""
        write_entries("Lengths")
        assert run_kit(".").outcomes == {}

    def test_other_files(self, pytester: pytest.Pytester, run_kit: Callable[..., Run]) -> None:
        """Other YAML files are left to other plugins."""
        (pytester.path / "config.yaml").write_text("stream: {}")
        assert run_kit("config.yaml").outcomes == {}

    def test_invalid(self, pytester: pytest.Pytester, run_kit: Callable[..., Run]) -> None:
        """A wrong entry is an error with its hint, not a traceback."""
        (pytester.path / "models.yaml").write_text("models: [{name: a}]")
        run = run_kit("models.yaml")
        assert run.outcomes == {"errors": 1}
        assert "line 1: a: missing the required version" in run.output
        assert "Correct the models file" in run.output
        assert "Traceback" not in run.output


class TestCost:
    """Every run of pytest in an environment with Tidemill loads the plugin."""

    def test_entry_point(self) -> None:
        """It registers itself."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        assert project["entry-points"]["pytest11"] == {"tidemill": "tidemill.testing.plugin"}

    def test_imports(self) -> None:
        """Loading it imports neither Hypothesis nor what reads models."""
        program = "import json, sys, tidemill.testing.plugin; print(json.dumps([*sys.modules]))"
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        modules = set(json.loads(done.stdout))
        assert "tidemill.testing" in modules
        assert not modules & {"hypothesis", "msgspec", "yaml", "tidemill.models"}
