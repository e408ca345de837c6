"""Publish batches to an object store, which cannot rename a folder."""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from batch_runs import dead_letters, in_process, results, run_batch
from dying_disk import Killed
from example_models import Upper
from object_store import ObjectStore
from pyarrow import fs
from specs import make_spec

from tidemill.batch.storage import Storage
from tidemill.errors import OutputExists
from tidemill.inference.route import single_routes

ROUTES = single_routes([make_spec(payload="text", id_field="id")])
ENGINE = in_process(ROUTES, Upper())


def run(target: str, *, changes: int = sys.maxsize, part_rows: int = 1) -> ObjectStore:
    """Run a batch to a path in the store, which is lost after some changes; return the store."""
    store = ObjectStore(changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Storage,
            "_located",
            property(
                lambda self: (
                    (fs.LocalFileSystem(), str(self.local))
                    if self.local
                    else (fs.PyFileSystem(store), str(Path("store", self.location[5:]).absolute()))
                )
            ),
        )
        run_batch(ROUTES, "in", target, ENGINE, part_rows=part_rows)
    return store


def write_input(rows: int) -> None:
    """Write some files with a row each; the model raises for the second row."""
    Path("in").mkdir(exist_ok=True)
    for path in Path("in").iterdir():
        path.unlink()
    for i in range(rows):
        text = "raise" if i == 1 else f"text {i}"
        Path(f"in/{i}.jsonl").write_text(f'{{"id": {i}, "text": "{text}"}}\n')


def answered(folder: Path) -> list[int]:
    """Return the rows that have an outcome, of those that should have one."""
    rows = [int(row["id"]) for row in results(folder)]
    return sorted(rows + [1] * len(dead_letters(folder)))


class TestObjectStore:
    """An output appears once, with each row once."""

    @pytest.mark.parametrize("kind", ["jsonl", "csv"])
    def test_killed(self, kind: str) -> None:
        """A run that is killed at any change continues, even while it publishes."""
        write_input(4)
        for changes in count():
            target, folder = f"{kind}:s3://out-{changes}", Path(f"store/out-{changes}")
            is_published = False
            with suppress(Killed):
                run(target, changes=changes)
                is_published = True
            if not is_published and not (folder / "summary.json").exists():
                run(target)
            assert answered(folder) == [0, 1, 2, 3], changes
            if is_published:
                break
        assert changes > 20

    def test_exists(self) -> None:
        """An output that exists is refused, so that two runs do not mix their files."""
        write_input(4)
        run("s3://out")
        write_input(2)
        with pytest.raises(OutputExists):
            run("s3://out")
        assert answered(Path("store/out")) == [0, 1, 2, 3]
        assert not Path("store/.out.tidemill").exists()

    def test_changed_while_published(self) -> None:
        """A run with another input does not mix its files with those that are published."""
        write_input(4)
        for changes in count():
            with suppress(Killed):
                run("s3://out", changes=changes)
            if Path("store/out").exists():
                break
        write_input(2)
        with pytest.raises(OutputExists):
            run("s3://out")
