"""The page of results can be written whatever has been measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import plots, report, results
from bench.run import PARTS
from bench.skew import SHAPES, run_name
from bench.throughput import LIMIT, TIDEMILL

SHIPPED = Path(results.__file__).with_name("results.json")
# The memory part before there were pools.
OLD_MEMORY = {"model": 175.9, "shared": [[1, 169.6, 353.2], [2, 222.9, 428.3]]}
MEMORY = {
    "model": 100.0,
    "at-least-once": [[1, 50.0, 210.0], [4, 80.0, 240.0]],
    "exactly-once": [[1, 60.0, 220.0], [4, 90.0, 280.0]],
    "pool": {
        "loaded once": [[1, 150.0], [2, 175.0]],
        "loaded by each process": [[1, 150.0], [2, 250.0]],
    },
}

MODELS = {
    "one model": {"MiB": 23.0},
    "loaded at the start": {
        "MiB": 50.0,
        "CPU µs": 412.0,
        "start s": 2.0,
        "first answers s": 1.5,
        "shared s": 0.0,
    },
}


OURS = {
    "open s": 0.0014,
    "MiB before": 70.0,
    "MiB": 71.2,
    "s": 0.05,
    "CPU s": 0.04,
    "peak MiB": 149.0,
}
FORECAST = {
    "models": 1400,
    "artifact": 701.0,
    "load": [1.0, 2.5],
    "kinds": [
        {
            "kind": kind,
            "size": size,
            "shared": 397,
            "saved": 1 - size / 20_000,
            "pack_ms": 0.5,
            "load_ms": 25.0,
            "memory": 2 * size,
            "equal": True,
        }
        for kind, size in (("prophet", 664.0), ("pickle-lzma", 6900.0))
    ],
    "ours": {
        way: {"0": OURS, "1000": {**OURS, "s": 2.5, "CPU s": 1.3}}
        for way in ("queries", "JSON", "table")
    },
    "Prophet": [
        [1, 0, 200, {"load s": 2.0, "MiB": 30.0, "s": 3.0, "CPU s": 2.5}],
        [1, 1000, 100, {"load s": 1.0, "MiB": 15.0, "s": 5.0, "CPU s": 4.0}],
    ],
    "packages": [["statsforecast", 50.0, 0.5, 2.0, 14_000.0]],
    "growth": [
        [100, 0, 70_000, OURS],
        [100, 1000, 70_000, OURS],
        [100_000, 0, 70_000_000, {**OURS, "s": 5.0, "CPU s": 4.0, "peak MiB": 700.0}],
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the results, the page and the plots."""
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")
    monkeypatch.setattr(report, "PAGE", tmp_path / "RESULTS.md")
    monkeypatch.setattr(plots, "FOLDER", tmp_path)
    return tmp_path


def section(folder: Path, title: str) -> str:
    """Return a section of the written page."""
    page = (folder / "RESULTS.md").read_text("utf-8")
    return page.partition(f"# {title}\n")[2].partition("\n#")[0]


def skew_round(limit: float, *shares: float) -> dict[str, Any]:
    """Return a round in which the job reaches some shares of the limit, in the table's order."""
    names = [run_name(shape, delivery) for shape in SHAPES for delivery in TIDEMILL.values()]
    rates = {name: share * limit for name, share in zip(names, shares, strict=False)}
    return {"texts": 100, "rates": {LIMIT: limit, **rates}}


class TestWrite:
    def test_nothing_measured(self, folder: Path) -> None:
        """Each part says that it is not measured."""
        report.write()
        assert (folder / "RESULTS.md").read_text("utf-8").count(report.NOT_YET) == len(PARTS)

    def test_shipped_results(self, folder: Path) -> None:
        """The results in the repository make a page."""
        content = json.loads(SHIPPED.read_text("utf-8"))
        (folder / "results.json").write_text(json.dumps(content))
        report.write()
        page = (folder / "RESULTS.md").read_text("utf-8")
        assert page.count(report.NOT_YET) == len(PARTS) - len(content)

    def test_old_memory(self, folder: Path) -> None:
        """Measurements of workers that loaded models themselves keep their table."""
        results.replace("memory", OLD_MEMORY)
        report.write()
        assert "| shared, `local[2]` | 223 | 428 |" in section(folder, "Memory")

    def test_memory(self, folder: Path) -> None:
        """The page compares deliveries, and pools, with the growth of each."""
        results.replace("memory", MEMORY)
        report.write()
        written = section(folder, "Memory")
        assert "| exactly-once, `local[4]` | 90 | 280 |" in written
        assert (
            "Exactly-once: 200 MiB, and 20 MiB more (0.20 times the models) for each worker."
            in (written)
        )
        assert "| loaded by each process | 150 | 250 |" in written
        assert "Loaded once: 125 MiB, and 25 MiB more (0.25 times" in written
        assert (folder / "memory.png").exists()

    def test_models(self, folder: Path) -> None:
        """The page compares ways to load many models."""
        results.replace("models", MODELS)
        report.write()
        written = section(folder, "Many models in a pool")
        assert "| loaded at the start | 50 | 412 | 2.0 | 1.5 | 0.0 |" in written
        assert "A pool with one such model takes 23 MiB." in written

    def test_skew(self, folder: Path) -> None:
        """A row is the median of the shares of each round, with their range; rounds may lack it."""
        for limit, *shares in ((100, 0.9, 0.8), (200, 0.7, 0.6), (50, 0.8)):
            results.add_round("skew", skew_round(limit, *shares))
        report.write()
        written = section(folder, "Partitions of different sizes")
        assert "| one partition, at-least-once | 3 | 90 | 0.80 (0.70 to 0.90) |" in written
        assert "| one partition, exactly-once | 2 | 100 | 0.70 (0.60 to 0.80) |" in written
        assert "| 8:4:2:1, " not in written
        assert (folder / "skew.png").exists()

    def test_schemas(self, folder: Path) -> None:
        """Each way to check a message has a row, in the order of the measurement."""
        rows = [["Tidemill, 256 messages", 9.84, 120], ["MLflow, one row", 5000.04, 60000]]
        results.replace("schemas", {"fields": [50, 600], "rows": rows})
        report.write()
        written = section(folder, "Schemas")
        assert "| CPU µs per message | 50 fields | 600 fields |" in written
        assert "| Tidemill, 256 messages | 9.8 | 120.0 |\n| MLflow, one row | 5000.0 | 6" in written

    def test_catalogue(self, folder: Path) -> None:
        """Files and routing have a table each, with a column for each number."""
        measured = {
            "models": [1000, 10000],
            "routes": [1, 100],
            "files": [["read and check", 0.456, 4.5]],
            "routing": [["reading a message", 9.84, 9.9]],
        }
        results.replace("catalogue", measured)
        report.write()
        written = section(folder, "Many models")
        assert "| seconds | 1,000 models | 10,000 models |" in written
        assert "| read and check | 0.46 | 4.50 |" in written
        assert "| µs | 1 route | 100 routes |" in written
        assert "| reading a message | 9.8 | 9.9 |" in written

    def test_forecast(self, folder: Path) -> None:
        """The page has targets, Prophet's times scaled up, and the talk's figures beside ours."""
        results.replace("forecast", FORECAST)
        report.write()
        written = section(folder, "Forecasts")
        assert "load average was 1.0 at the beginning and 2.5 at the end" in written
        assert "| seconds for 1,400 models x 52 | 0.3 | 0.05 (0.04 of CPU time) | met |" in written
        assert "1,000 samples | 2 | 2.5 (1.3 of CPU time) | **missed** |" in written
        assert "(of 200 and 100 models, scaled up) | 21.0 | 70.0 | 17.5 | 56.0 |" in written
        assert "| reading Prophet's JSON (of 200 models, scaled up) | 14.0 | 210 |" in written
        assert "| prophet | 664 | 96.7% | 0.50 | 25.00 | 1.3 |  |  |  |" in written
        assert (
            "| pickle-lzma | 6,900 | 65.5% | 0.50 | 25.00 | 13.8 | 28,420 | 99.0% | 22.0 |"
            in written
        )
        assert "| 100,000 | 0 | 70.00 | 0.0014 | 5 | 4 | 700 |" in written
        assert (folder / "forecast.png").exists()
