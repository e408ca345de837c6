"""Keep whoever does not work for the current run from changing its files."""

from __future__ import annotations

import errno
import fcntl
import os
import pickle
import shutil
from pathlib import Path
from typing import IO

import pytest

from tidemill.batch.plan import Plan, Source
from tidemill.batch.staging import RECEIPTS, Receipt, Staging
from tidemill.errors import OutputInUse, OutputUnusable

PLAN = Plan(Source("csv", "in"), [], ("csv", "out"), "", 1, "run")
RECEIPT = Receipt(1, 1, {"m:1": 1}, {})
FILES = {"results/part-00000-00000.parquet": b"content"}


class TestTaken:
    """Workers that Spark or a killed run has left behind cannot write."""

    def test_left_behind(self) -> None:
        """What they commit later fails, and leaves nothing."""
        staging = Staging.beside("out").taken()
        staging.start(PLAN)
        left: Staging = pickle.loads(pickle.dumps(staging))  # noqa: S301 - as Spark does
        left.commit("00000-00000", FILES, RECEIPT)
        completes = staging.taken()
        with pytest.raises(OutputUnusable):
            left.commit("00000-00001", {"results/part-00000-00001.parquet": b"late"}, RECEIPT)
        assert completes.receipts({}) == {"00000-00000": RECEIPT}
        assert [path.rpartition("/")[2] for path in completes.paths("results")] == [
            "part-00000-00000.parquet"
        ]


class TestCommit:
    """A receipt says that a part is safe."""

    def test_disk_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A part that the disk does not keep has no receipt."""
        staging = Staging.beside("out").taken()
        staging.start(PLAN)

        def fsync(_: int) -> None:
            raise OSError(errno.EIO, "")

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(OutputUnusable):
            staging.commit("00000-00000", FILES, RECEIPT)
        assert staging.receipts({}) == {}

    def test_damaged(self) -> None:
        """A damaged receipt is an error that says what to do."""
        staging = Staging.beside("out").taken()
        staging.start(PLAN)
        staging.commit("00000-00000", FILES, RECEIPT)
        Path(staging.paths(RECEIPTS)[0]).write_bytes(b"")
        with pytest.raises(OutputUnusable, match="damaged") as caught:
            staging.receipts({})
        assert "Remove this folder" in caught.value.hint

    def test_of_one_split(self) -> None:
        """A worker does not read the receipts of other splits, of which there may be many."""
        staging = Staging.beside("out").taken()
        staging.start(PLAN)
        for name in ("00001-00000", "100000-00000", "100000-end"):
            staging.commit(name, {}, RECEIPT)
        Path(staging.paths(RECEIPTS)[0]).write_bytes(b"not read")
        assert sorted(staging.receipts({}, [100000])) == ["100000-00000", "100000-end"]


class TestLocked:
    """One run at a time uses the folder."""

    def test_ends_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run whose lock has just been removed by the end of another one is refused."""
        staging = Staging.beside("out")
        lock = fcntl.flock

        def flock(file: IO[str], operation: int) -> None:
            shutil.rmtree(staging.location)
            lock(file, operation)

        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(OutputInUse), staging.locked():
            pass
