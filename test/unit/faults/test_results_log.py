from __future__ import annotations

from typing import TYPE_CHECKING

from faults import results_log
from faults.checker import Verdict
from faults.findings import Findings, Recovery

if TYPE_CHECKING:
    from pathlib import Path


def round_of(mode: str, verdict: Verdict, ahead: tuple[str, ...] = ()) -> Findings:
    """Return a round with two kills."""
    kills = [Recovery("worker", "any time", 0.5, 1.0), Recovery("group", "after-commit", 9.0, 11.0)]
    return Findings(mode, "local", "2026-01-01", kills=kills, ahead=list(ahead), verdict=verdict)


class TestAdd:
    """Each run adds an entry to the file."""

    def test_grows(self, tmp_path: Path) -> None:
        """An entry comes after the earlier ones, and no draft remains."""
        file = tmp_path / "faults.json"
        for number in range(3):
            results_log.add("rounds", {"number": number}, file)
        results_log.add("costs", {"number": 9}, file)
        content = results_log.read(file)
        assert [entry["number"] for entry in content["rounds"]] == [0, 1, 2]
        assert [entry["number"] for entry in content["costs"]] == [9]
        assert content["soaks"] == []
        assert [path.name for path in tmp_path.iterdir()] == ["faults.json"]
        assert len(file.read_text().splitlines()) < 30

    def test_machine(self, tmp_path: Path) -> None:
        """An entry describes the machine without its name."""
        results_log.add("rounds", {}, tmp_path / "faults.json")
        (entry,) = results_log.read(tmp_path / "faults.json")["rounds"]
        assert entry["machine"]["cores"] > 0
        assert {"cpu", "kernel", "spark", "kafka"} < entry["machine"].keys()


class TestEntry:
    """A round's entry."""

    def test_counts(self) -> None:
        """A broken promise has counts and evidence."""
        lost = (("in", 0, 1), ("in", 0, 2))
        entry = results_log.entry(
            round_of("exactly-once", Verdict(10, 8, lost=lost), ("in/0 at 5",))
        )
        assert entry["faults"] == {"lost": 2, "ahead": 1}
        assert not entry["holds"]
        assert any("('in', 0, 2)" in line for line in entry["evidence"])
        assert any("in/0 at 5" in line for line in entry["evidence"])

    def test_at_least_once(self) -> None:
        """With at-least-once, duplicates are counted but break no promise."""
        entry = results_log.entry(
            round_of("at-least-once", Verdict(10, 11, duplicates=(("in", 0, 1),)))
        )
        assert entry["faults"] == {"duplicates": 1}
        assert entry["holds"]
        assert entry["evidence"] == []
