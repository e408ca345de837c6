"""The example of many forecasts, with a few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from examples.forecasts import fit, report, run, sales
from tidemill.packing.artifact import Artifact
from tidemill.packing.manifest import MANIFEST
from tidemill.packing.report import Measured

if TYPE_CHECKING:
    from pathlib import Path

MODELS = 12


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example has run."""
    folder = tmp_path_factory.mktemp("forecasts")
    console = Console(width=200, record=True)
    assert [*run.run(console, folder, MODELS, compared=3)] == []
    shown = console.export_text()
    assert "3 forecasts were compared with Prophet's." in shown
    assert "They sell +" in shown
    return folder


class TestRun:
    """A store is forecast in the same way by Prophet, the artifact and the command."""

    def test_files(self, work: Path) -> None:
        """Each store has a model, and an answer of the command with intervals."""
        assert [*Artifact.open(work / "packed")] == [sales.key(each) for each in range(MODELS)]
        assert len((work / "answers.jsonl").read_text().splitlines()) == MODELS
        assert '"yhat_lower":[' in (work / "answers.jsonl").read_text()

    def test_resumed(self, work: Path) -> None:
        """Only what is missing is made again."""
        files = fit.files(work, MODELS)
        files[3].unlink()
        before = {file: file.stat().st_mtime_ns for file in files if file.exists()}
        packed = (work / "packed" / MANIFEST).stat().st_mtime_ns
        run.prepare(Console(quiet=True), work, MODELS)
        assert files[3].exists()
        assert before == {file: file.stat().st_mtime_ns for file in before}
        assert packed == (work / "packed" / MANIFEST).stat().st_mtime_ns

    def test_other_sales(self, tmp_path: Path) -> None:
        """Models of other sales, and what was made of them, are not used."""
        old = fit.files(tmp_path, 1)[0]
        old.parent.mkdir()
        old.touch()
        (tmp_path / "packed").mkdir()
        (tmp_path / "fitted-by").write_text("Prophet 1.0")
        assert [*fit.fit_missing(tmp_path, 0)] == []
        assert {each.name for each in tmp_path.rglob("*")} == {"models", "fitted-by"}


class TestDifferences:
    """The comparison can fail."""

    forecast: dict[str, Any] = {"yhat": np.ones(2), "yhat_lower": np.zeros(2)}  # noqa: RUF012

    def differences(self, **changes: object) -> list[str]:
        """Return what differs if something is changed."""
        return [*run.differences("Prophet", {"a": self.forecast}, {"a": self.forecast | changes})]

    def test_equal(self) -> None:
        """Bounds may differ in the last digits."""
        assert self.differences(yhat_lower=np.full(2, 1e-12)) == []

    @pytest.mark.parametrize(
        "changes", [{"yhat": np.array([1, 1 + 1e-15])}, {"yhat_lower": np.full(2, 1e-3)}]
    )
    def test_different(self, changes: dict[str, object]) -> None:
        """Forecasts may not differ at all, and bounds not by much."""
        assert self.differences(**changes) == ["Prophet has another forecast for a"]

    def test_missing(self) -> None:
        """A key without a forecast."""
        assert [*run.differences("It", {}, {"a": self.forecast})]


class TestTables:
    """The talk's figures stand beside ours."""

    def text(self, table: object) -> str:
        """Return a table as text."""
        console = Console(width=200, record=True)
        console.print(table)
        return console.export_text()

    def test_costs(self) -> None:
        """A kind that the talk does not have has no figures of it."""
        measured = [
            Measured(kind, size, 0, 1 - size / 20_000, 1.0, 2.5, 2 * size, equal=True)
            for kind, size in (("pickle-lzma", 6000.0), ("prophet", 664.0))
        ]
        lines = self.text(report.costs(measured)).splitlines()
        rows = [[*map(str.strip, line.split("│"))] for line in lines if "│" in line]
        assert rows[0][1:7] == ["prophet", "664", "96.7%", "2.50", "1.3", "yes"]
        assert rows[0][7:10] == ["", "", ""]
        assert rows[1][7:10] == ["28,420", "99.0%", "22.0"]

    def test_times(self) -> None:
        """All ways have a row."""
        shown = self.text(report.times({"packed": 0.031}, 1400))
        assert "│ packed " in shown
        assert "0.03" in shown
        assert "350.24" in shown
