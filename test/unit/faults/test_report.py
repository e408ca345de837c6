from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults import report, results_log
from faults.checker import Verdict
from faults.findings import Findings, Recovery

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faults.round_tables import Entries


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report an idle machine."""
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))


def content(tmp_path: Path, verdict: Verdict) -> Mapping[str, Entries]:
    """Return entries of one round in each mode, of a comparison and of a soak."""
    file = tmp_path / "faults.json"
    kills = [
        Recovery("worker", "before-commit", 1.0, 2.0),
        Recovery("group", "any time", 12.0, 14.0),
        Recovery("member", "in-predict", 0.5, 1.5),
        Recovery("server", "any time", 2.5, 3.5),
    ]
    for mode, result in (
        ("exactly-once", verdict),
        ("at-least-once", Verdict(50, 53, duplicates=(("in", 0, 1),) * 3)),
    ):
        results_log.add(
            "rounds",
            results_log.entry(Findings(mode, "local", "2026-01-02T03", kills * 50, verdict=result)),
            file,
        )
    results_log.add(
        "costs",
        {"date": "2026-01-03", "pairs": [{"exactly-once": 95.0, "at-least-once": 100.0}] * 6},
        file,
    )
    gauge = {"level": 100.0, "growth_per_hour": 0.1, "margin": 0.5}
    gauges = {"java MiB": {**gauge, "flat": True}, "threads": {**gauge, "flat": False}}
    soak = {"date": "2026-01-04", "minutes": 30, "capacity": 200, "messages": 9, "outcomes": 9}
    results_log.add("soaks", {**soak, "ahead": 0, "samples": 7, "gauges": gauges}, file)
    return results_log.read(file)


class TestPage:
    """The page shows what was tried."""

    def test_all_held(self, tmp_path: Path) -> None:
        """It has counts, the bound on failures, times, cost, soak and scenarios."""
        text = report.page(content(tmp_path, Verdict(50, 50)), "| a scenario |")
        assert "| exactly-once | 200 | 50 | 50 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1.49% |" in text
        assert "| at-least-once | 200 | 50 | 50 | 0 | 3 |" in text
        assert "| worker, exactly-once, quiet | 50 | 1.0 | 1.0 | 2.0 | 2.0 | 5 |" in text
        assert "| driver, exactly-once, quiet | 50 | 12.0 | 12.0 | 14.0 | 14.0 | 30 |" in text
        assert "| member, exactly-once, quiet | 50 | 0.5 | 0.5 | 1.5 | 1.5 | 5 |" in text
        assert "| server, at-least-once, quiet | 50 | 2.5 | 2.5 | 3.5 | 3.5 | 10 |" in text
        assert "| in-predict: while a process of the pool runs the model |  | 50 |  |  |" in text
        assert "- member: one process of the pool" in text
        assert "**0.95** of at-least-once's" in text
        assert "| java MiB | 100.0 | 0.1 | 0.5 | flat |" in text
        assert "| threads | 100.0 | 0.1 | 0.5 | **rises** |" in text
        assert "| a scenario |" in text

    def test_broken(self, tmp_path: Path) -> None:
        """A broken promise replaces the bound on failures."""
        verdict = Verdict(50, 49, lost=(("in", 0, 1),))
        text = report.page(content(tmp_path, verdict), "")
        assert (
            "| exactly-once | 200 | 50 | 50 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | broken in 1 rounds |"
            in text
        )

    def test_nothing_yet(self, tmp_path: Path) -> None:
        """Without figures it names the command that measures them."""
        text = report.page(results_log.read(tmp_path / "none.json"), "")
        assert "`make soak`" in text
        assert "Not measured yet: `make cost`" in text


def test_batches() -> None:
    """Kills of batches are counted by engine and formats, in all rounds."""
    entry = {
        "date": "2026-01-05T06", "engine": "local", "from": "csv", "to": "delta",
        "kills": {"group": 2, "command": 1}, "rows": 900, "problems": [],
    }  # fmt: skip
    text = report.batches([entry, {**entry, "problems": ["id-1 has no outcome"]}])
    assert "6 kills until 2026-01-05: 4 of the group, 2 of the command." in text
    assert "| local | csv | delta | 6 | 1,800 | 1 |" in text
    assert "Not run yet" in report.batches([])
