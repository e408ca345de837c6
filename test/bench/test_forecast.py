"""The benchmark of forecasts measures models that work, with and without Prophet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench import forecast
from bench.packed_forecasts import WAYS
from examples.forecasts import fit
from tidemill.packing.artifact import Artifact
from tidemill.packing.pack import pack
from tidemill.packing.writer import write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MODELS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fitted models, and an artifact of them."""
    folder = tmp_path_factory.mktemp("forecasts")
    assert [*fit.fit_missing(folder, MODELS)] == [1, 2, 3]
    pack(folder / "packed", fit.load(fit.files(folder, MODELS)))
    return folder


@pytest.fixture(scope="module")
def files(folder: Path) -> Sequence[Path]:
    """The files of the models."""
    return fit.files(folder, MODELS)


class TestOurs:
    @pytest.mark.parametrize("way", WAYS)
    def test_child(self, folder: Path, way: str) -> None:
        """A process of its own forecasts with every model, with intervals too."""
        took = forecast.child(folder / "packed", way, 10, 2)
        assert took["models"] == MODELS
        assert 0 < took["s"] <= took["first s"]
        assert took["peak MiB"] > took["MiB"] > 0

    def test_multiply(self, folder: Path, tmp_path: Path) -> None:
        """More models than were fitted differ from one another, and all of them forecast."""
        write(tmp_path / "packed", forecast.multiply(Artifact.open(folder / "packed"), 8))
        artifact = Artifact.open(tmp_path / "packed")
        rows = {bytes(artifact.item(place)) for place in artifact.places(artifact) if place}
        assert len(artifact) == len(rows) == 8
        assert forecast.child(tmp_path / "packed", "queries", 0, 1)["models"] == 8


class TestProphet:
    def test_one_by_one(self, files: Sequence[Path]) -> None:
        """Two processes share the models."""
        took = forecast.one_by_one(files, 0, 2)
        assert took["CPU s"] > 0
        assert took["s"] > 0


def test_rounded() -> None:
    """Figures keep four digits, and numbers become keys of JSON."""
    assert forecast.rounded({0: [1.23456, 100_000, "x"]}) == {"0": [1.235, 100_000, "x"]}
    assert np.isclose(forecast.rounded(0.000123456), 0.0001235)
