from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults import report, results_log
from faults.checker import Verdict
from faults.findings import Findings, Kill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing else run."""
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))


def content(tmp_path: Path, verdict: Verdict) -> dict:
    """Return what is kept of one round in each mode, of a comparison and of a soak."""
    file = tmp_path / "faults.json"
    kills = [Kill("worker", "before-commit", 1.0, 2.0), Kill("group", "any time", 12.0, 14.0)]
    for mode, found in (
        ("exactly-once", verdict),
        ("at-least-once", Verdict(50, 53, duplicates=(("in", 0, 1),) * 3)),
    ):
        results_log.add(
            "rounds",
            results_log.entry(Findings(mode, "local", "2026-01-02T03", kills * 50, verdict=found)),
            file,
        )
    results_log.add(
        "costs",
        {"date": "2026-01-03", "pairs": [{"exactly-once": 95.0, "at-least-once": 100.0}] * 6},
        file,
    )
    gauge = {"level": 100.0, "an hour": 0.1, "give or take": 0.5}
    gauges = {"java MiB": {**gauge, "flat": True}, "threads": {**gauge, "flat": False}}
    soak = {"date": "2026-01-04", "minutes": 30, "capacity": 200, "messages": 9, "outcomes": 9}
    results_log.add("soaks", {**soak, "ahead": 0, "samples": 7, "gauges": gauges}, file)
    return results_log.read(file)


class TestPage:
    """A page that says no more than was tried."""

    def test_all_held(self, tmp_path: Path) -> None:
        """Counts, the bound that so many kills allow, times, cost, soak and scenarios."""
        said = report.page(content(tmp_path, Verdict(50, 50)), "| a scenario |")
        assert "| exactly-once | 100 | 50 | 50 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 2.95% |" in said
        assert "| at-least-once | 100 | 50 | 50 | 0 | 3 |" in said
        assert "| worker, exactly-once, quiet | 50 | 1.0 | 1.0 | 2.0 | 2.0 | 5 |" in said
        assert "| driver, exactly-once, quiet | 50 | 12.0 | 12.0 | 14.0 | 14.0 | 30 |" in said
        assert "**0.95** of what at-least-once does" in said
        assert "| java MiB | 100.0 | 0.1 | 0.5 | flat |" in said
        assert "| threads | 100.0 | 0.1 | 0.5 | **rises** |" in said
        assert "| a scenario |" in said

    def test_broken(self, tmp_path: Path) -> None:
        """A broken promise stands where the bound would."""
        verdict = Verdict(50, 49, lost=(("in", 0, 1),))
        said = report.page(content(tmp_path, verdict), "")
        assert (
            "| exactly-once | 100 | 50 | 50 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 rounds broke it |"
            in said
        )

    def test_nothing_yet(self, tmp_path: Path) -> None:
        """Without figures it says how to get them."""
        said = report.page(results_log.read(tmp_path / "none.json"), "")
        assert "`make soak`" in said
        assert "Not measured yet: `make cost`" in said
