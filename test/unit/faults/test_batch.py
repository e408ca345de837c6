"""A short campaign against batches on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from batch_runs import in_process, run_batch

from faults import batch, batch_files
from faults.batch import Round, campaign, plan
from faults.cheap_model import Cheap
from tidemill.inference.model import ModelSpec
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from pathlib import Path

ROUTES = single_routes([ModelSpec(**batch.model())])
COUNT = 120


def test_short_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row has one outcome in spite of kills, and the output appears complete."""
    monkeypatch.setattr(batch, "ROWS", 3000)
    monkeypatch.setitem(batch.LONGEST_S, "local", 4.0)
    shown: list[Round] = []
    rounds = campaign([("local", "csv", "parquet", 3)], shown.append)
    assert rounds == shown
    assert rounds[0].runs > 1
    assert [each.problems for each in rounds] == [[]], str(rounds[0])


def test_plan() -> None:
    """The kills are shared among rounds of all engines and formats."""
    rounds = list(plan(70, ["local", "spark"]))
    assert sum(kills for *_, kills in rounds) == 70
    assert {engine for engine, *_ in rounds} == {"local", "spark"}
    assert {target for _, _, target, _ in rounds} == {"jsonl", "csv", "parquet", "delta"}


class TestChecker:
    """The checker knows nothing of the package, and finds what is wrong."""

    @pytest.fixture(params=["jsonl", "csv", "parquet", "delta"])
    def output(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
        """Return an output that is right, and its format."""
        source = "csv" if request.param == "csv" else "jsonl"
        batch_files.write(source, tmp_path / "in", COUNT)
        run_batch(
            ROUTES,
            f"{source}:{tmp_path}/in",
            f"{request.param}:{tmp_path}/out",
            in_process(ROUTES, Cheap()),
        )
        return tmp_path / "out", request.param

    def test_nothing(self, output: tuple[Path, str]) -> None:
        """Nothing is wrong with the output of a run that nothing disturbed."""
        folder, kind = output
        assert batch_files.problems(folder, kind, COUNT) == []

    def test_missing_and_strange(self, output: tuple[Path, str]) -> None:
        """A row without an outcome, and a file that does not belong there, are found."""
        folder, kind = output
        (folder / "results/other").write_text("")
        for path in (folder / "dead-letters").iterdir():
            path.unlink()
        found = batch_files.problems(folder, kind, COUNT)
        assert "id-0 has no outcome" in found
        assert "results/other is not part of an output" in found
        assert "the summary has 3 dead_letters, but there are 0" in found

    def test_twice(self, output: tuple[Path, str]) -> None:
        """A dead letter beside a result is a second outcome."""
        folder, kind = output
        letter = {"value": json.dumps({"id": "id-1", "text": "fine"})}
        (folder / "dead-letters/part-x.jsonl").write_text(f"{json.dumps(letter)}\n")
        found = batch_files.problems(folder, kind, COUNT)
        assert {"id-1 has 2 outcomes", "id-1 is a dead letter"} <= set(found)
