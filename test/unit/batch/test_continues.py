"""End batches at any moment, and start them again."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from batch_runs import dead_letters, in_process, results, run_batch, write_rows
from dying_disk import DyingDisk, Killed
from example_models import Upper
from pyarrow import fs
from specs import make_spec

from tidemill.batch import block
from tidemill.batch import run as runs
from tidemill.batch.formats import parquet
from tidemill.batch.storage import Storage
from tidemill.errors import OutputExists
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from tidemill.batch.run import Engine

ROUTES = single_routes([make_spec(payload="text", id_field="id")])
ENGINE = in_process(ROUTES, Upper())
TEXTS = ["raise" if i % 5 == 2 else f"text {i}" for i in range(12)]
TIMES = {"ts_start", "ts_end", "process_time"}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file a split, and every two rows a block."""
    monkeypatch.setattr(runs, "SPLIT_BYTES", 1)
    for module in (block, parquet):
        monkeypatch.setattr(module, "BLOCK_ROWS", 2)


def write_input(kind: str) -> str:
    """Write two files, the second with another column; return where they are."""
    Path("in").mkdir()
    texts = TEXTS if kind == "jsonl" else [text.replace("raise", "fine") for text in TEXTS]
    rows: list[dict[str, Any]] = [{"id": i, "text": text} for i, text in enumerate(texts)]
    write_rows(kind, Path(f"in/a.{kind}"), rows[:7])
    write_rows(kind, Path(f"in/b.{kind}"), [row | {"more": 0.5} for row in rows[7:]])
    return f"{kind}:in"


def content(folder: Path) -> dict[str, Any]:
    """Return what an output has, except for times."""
    summary = json.loads((folder / "summary.json").read_text())
    for changing in ("seconds", "first_seconds", "continued", "output", "id"):
        del summary[changing]
    rows = [
        {name: value for name, value in row.items() if name not in TIMES} for row in results(folder)
    ]
    return {
        "results": rows,
        "dead letters": dead_letters(folder),
        "summary": summary,
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("[!.]*")
                        if ".run" not in path.parts and "_delta_log" not in path.parts),
        "hidden": [path for path in folder.rglob(".*") if path.name != ".run"],
    }  # fmt: skip


def run_until_killed(source: str, target: str, changes: int, engine: Engine = ENGINE) -> DyingDisk:
    """Run a batch on a disk that fails after some changes; return the disk."""
    disk = DyingDisk(changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Storage, "filesystem", fs.PyFileSystem(disk))
        with suppress(Killed):
            run_batch(ROUTES, source, target, engine, part_rows=2)
    return disk


class TestKilled:
    """A run that was killed at any change of a file continues when it is started again."""

    @pytest.mark.parametrize(("source", "target"), [("jsonl", "csv"), ("parquet", "delta")])
    def test_once(self, source: str, target: str) -> None:
        """The output is that of a run that nothing disturbed: nothing twice, nothing lost."""
        given = write_input(source)
        run_batch(ROUTES, given, f"{target}:expected", ENGINE, part_rows=2)
        expected = content(Path("expected"))
        for changes in count():
            out = f"out-{changes}"
            disk = run_until_killed(given, f"{target}:{out}", changes)
            published = Path(out).exists()
            if published:
                with pytest.raises(OutputExists):
                    run_batch(ROUTES, given, f"{target}:{out}", ENGINE, part_rows=2)
            else:
                run_batch(ROUTES, given, f"{target}:{out}", ENGINE, part_rows=2)
            assert content(Path(out)) == expected, changes
            if disk.changes_left >= 0:
                break
        assert changes > 30

    def test_again_and_again(self) -> None:
        """A run that is killed after ever more changes ends, and has done no part in vain."""
        given = write_input("csv")
        run_batch(ROUTES, given, "parquet:expected", ENGINE, part_rows=2)
        for changes in count():
            run_until_killed(given, "parquet:out", changes)
            if Path("out").exists():
                break
        assert content(Path("out")) == content(Path("expected"))
        summary = json.loads(Path("out/summary.json").read_text())
        assert summary["continued"] > 0
