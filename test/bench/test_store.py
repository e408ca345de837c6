"""The benchmark of the store measures look-ups, loads and swaps that work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from bench import plots, store, store_tables
from bench.backlog import TICK
from bench.contenders import stored_rows
from bench.store_databases import SQLITE_NAME
from bench.store_lookup_times import Taken
from bench.store_servers import OURS, PLAIN, PRECOMPUTED
from bench.store_size import Size
from bench.store_swaps import QUIET, SWAPS, WRITERS

if TYPE_CHECKING:
    from pathlib import Path

SIZE = Size(rows=200, loaded=1000, seconds=0.1, rounds=1)
LOOK_UP = {"p50": 1.0, "p99": 2.0, "rate": 500.0, "CPU ms": 1.0}


class TestMeasure:
    def test_ours(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Without Feast, every number of keys has figures of a running server, and swaps happen."""
        monkeypatch.setattr(plots, "FOLDER", tmp_path)
        found = store.measure(Console(quiet=True), SIZE, with_feast=False, databases=[SQLITE_NAME])
        part = found["parts"][SQLITE_NAME]
        counts = [*stored_rows.COUNTS]
        for way, names in {"requests": [OURS], "calls": [OURS, store.SQL]}.items():
            for name in names:
                own = [each for each in part[way] if each["name"] == name]
                assert [each["keys"] for each in own] == counts
                assert all(each["p99"] >= each["p50"] > 0 for each in own)
        assert part["loads"][OURS]["rows"] == SIZE.rows
        assert part["large"]["rows"] == SIZE.loaded
        assert part["swaps"][QUIET]["swaps"] == 0
        assert all(part["swaps"][name]["swaps"] > 0 for name in WRITERS if name != QUIET)
        assert "| 100 keys |" in store_tables.store(found)
        assert (tmp_path / "store.png").stat().st_size


def part(ours: dict[str, float], p99: float) -> dict[str, Any]:
    """Return figures of a database, with ours and the p99 during swaps."""
    figures = [
        {"name": OURS, "keys": 1, **ours},
        {"name": PLAIN, "keys": 1, **LOOK_UP, "CPU ms": 6.0},
        {"name": PRECOMPUTED, "keys": 1, **LOOK_UP},
    ]
    load = {"rows": 100_000, "s": 2.0, "CPU s": 1.0}
    return {
        "calls": figures,
        "requests": figures,
        "loads": {OURS: load},
        "large": load,
        "swaps": {
            name: {"p50": 1.0, "p99": p99 if name == SWAPS else 1.0, "swaps": 3} for name in WRITERS
        },
    }


class TestReport:
    @pytest.mark.parametrize(
        ("ours", "p99", "missed"),
        [
            (LOOK_UP | {"p50": 0.5, "p99": 1.9}, 2.0, 0),
            (LOOK_UP | {"p50": 0.5, "p99": 2.0}, 2.1, 3),
            (LOOK_UP | {"p50": 0.5, "p99": 1.9, "CPU ms": 1.3}, 1.0, 1),
        ],
    )
    def test_targets(
        self,
        ours: dict[str, float],
        p99: float,
        missed: int,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        """A target that is not reached is published as missed."""
        monkeypatch.setattr(plots, "FOLDER", tmp_path)
        size = Size()._asdict()
        parts = {SQLITE_NAME: part(ours, p99)}
        page = store_tables.store({"size": size, "load": [1.0, 2.0], "parts": parts})
        assert page.count("**missed**") == missed
        assert page.count("| met |") == 7 - missed
        assert "| 100,000 | 2.0 | 50,000 | 1.0 |" in page


class TestTaken:
    def test_less_than_a_tick(self) -> None:
        """Look-ups that took less CPU time than the clock shows count as one tick."""
        taken = Taken()
        taken.one_by_one.append(0.001)
        taken.add(measured=5, cpu=0.0, seconds=0.1)
        assert taken.figures()["CPU ms"] == 1000 * TICK / 5


class TestRows:
    def test_same_keys(self) -> None:
        """Every contender is asked for the same keys, which differ within a look-up."""
        wanted = stored_rows.wanted(200, 100)
        assert wanted == stored_rows.wanted(200, 100)
        assert all(len({*keys}) == 100 for keys in wanted)
