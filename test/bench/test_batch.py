"""The benchmark of batches runs, and its contenders give the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from bench import batch, batch_tables, plots
from bench.batch_contenders import CONTENDERS, Contender, Task, bare

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {contender.name for contender in CONTENDERS}
WITHOUT_SPARK = [one for one in CONTENDERS if "spark" not in one.name]


class TestMeasure:
    def test_lines(self) -> None:
        """Contenders without Spark give the same answers to lines of JSON, and have figures."""
        task = Task("noop", "json", 600)
        (found,) = batch.measure(Console(quiet=True), {task: 1}, WITHOUT_SPARK)
        assert found["runs"].keys() == {one.name for one in WITHOUT_SPARK if one.suits(task)}
        for (figures,) in found["runs"].values():
            assert figures["s"] > 600 / figures["rows/s"] > 0
            assert figures["CPU s"] > 0

    def test_tables(self) -> None:
        """Contenders without Spark answer the rows of a Parquet file alike."""
        task = Task("noop", "parquet", 2000)
        (found,) = batch.measure(Console(quiet=True), {task: 1}, WITHOUT_SPARK)
        assert found["runs"].keys() == {one.name for one in WITHOUT_SPARK if one.suits(task)}

    def test_unequal(self, tmp_path: Path) -> None:
        """A contender that gives another answer is an error that names it."""
        task = Task("noop", "json", 3)
        source = batch.prepare(task, tmp_path)
        other = tmp_path / "other.json"
        other.write_text(source.read_text().replace("row 2", "row 3"))
        odd = Contender("odd", lambda task, _, target: bare(1)(task, str(other), target))
        with pytest.raises(batch.Unequal, match="odd"):
            list(batch.turns(task, [CONTENDERS[0], odd], source, tmp_path / "0"))


class TestReport:
    def test_missed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The report has each contender, its share of the model alone, and missed targets."""
        monkeypatch.setattr(plots, "FOLDER", tmp_path)
        figures = {"s": 9.0, "rows/s": 100.0, "CPU s": 8.0, "MiB": 100.0}
        runs = {name: [figures | {"rows/s": 200.0}, figures] for name in NAMES}
        runs["tidemill batch, local, 2 processes"] = [figures | {"first s": 4.0}] * 2
        found = {"model": "ner", "format": "json", "rows": 60, "load": [1.0, 2.5], "runs": runs}
        page = batch_tables.batch([found])
        assert (tmp_path / "batch.png").stat().st_size
        assert all(name in page for name in NAMES)
        assert "| 0.95 | 0.75 | **missed** |" in page
        assert "| 3 | 4.0 | **missed** |" in page
