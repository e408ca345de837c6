"""`import tidemill` offers a small, stable API, and costs little."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import tidemill
from tidemill import extras

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC = [
    "Failure",
    "FeatureModel",
    "Message",
    "Model",
    "ModelSpec",
    "Prediction",
    "Settings",
    "TidemillError",
    "__version__",
    "load_models",
    "predictions",
]
HEAVY = {"numpy"}.union(*extras.MODULES.values())


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    program = f"{statement}; import json, sys; print(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


class TestNames:
    """The public names are these, and each leads to the object itself."""

    def test_all(self) -> None:
        """Adding or removing a public name needs an entry in the CHANGELOG."""
        assert tidemill.__all__ == PUBLIC

    @pytest.mark.parametrize("name", PUBLIC)
    def test_exists(self, name: str) -> None:
        """Each public name keeps the name of its definition."""
        value = getattr(tidemill, name)
        if name != "__version__":
            assert value.__name__ == name
            assert value.__module__.startswith("tidemill.")

    def test_dir(self) -> None:
        """Interactive completion offers all of them."""
        assert set(PUBLIC) <= set(dir(tidemill))

    def test_unknown(self) -> None:
        """Any other name is an AttributeError, as for every module."""
        with pytest.raises(AttributeError, match="no attribute 'Modell'"):
            _ = tidemill.Modell  # type: ignore[attr-defined]

    def test_load_models(self, tmp_path: Path) -> None:
        """`load_models` accepts a path as text too."""
        file = tmp_path / "models.yaml"
        file.write_text('models: [{name: a, version: "1", adapter: "x:Y", sample: s, result: r}]')
        (route,) = tidemill.load_models(str(file))
        assert isinstance(route.variants[0].spec, tidemill.ModelSpec)
        assert tidemill.load_models(file) == (route,)


class TestCost:
    """Spark, pandas, Arrow and Kafka clients are imported only by what needs them."""

    def test_import(self) -> None:
        """Importing the package imports nothing but the standard library."""
        third_party = modules_after("import tidemill") - modules_after("pass")
        assert third_party - sys.stdlib_module_names == {"tidemill"}

    def test_core_names(self) -> None:
        """All names but `predictions` work without an extra."""
        core = ", ".join(name for name in PUBLIC if name != "predictions")
        assert not HEAVY & modules_after(f"from tidemill import {core}")

    def test_predictions(self) -> None:
        """The transform of DataFrames needs Spark."""
        assert "pyspark" in modules_after("from tidemill import predictions")

    @pytest.mark.parametrize("module", ["cli", "run", "models.catalogue"])
    def test_command_line(self, module: str) -> None:
        """The help of the command line, and reading models, need no extra."""
        assert not HEAVY & modules_after(f"import tidemill.{module}")
