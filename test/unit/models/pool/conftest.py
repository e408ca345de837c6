from __future__ import annotations

import math
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pool_processes import processes

from tidemill.inference.engine import Engine
from tidemill.models.pool.client import PooledRunner
from tidemill.models.pool.slices import Slicer
from tidemill.models.pool.start import PoolAddress
from tidemill.settings import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidemill.inference.model import ModelSpec

PROCESSES = 2


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a new folder for pools, which end with the test.

    `tmp_path` is too long for a socket.
    """
    folder = Path(tempfile.mkdtemp(prefix="pools-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    while running := processes(folder):
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)  # slices that were cancelled may still end


@pytest.fixture
def pools(root: Path) -> Path:
    """Return the path of this user's pools in that folder."""
    return root / f"tidemill-{os.getuid()}"


@pytest.fixture
def make_pool(root: Path) -> Callable[..., Engine]:
    """Return what starts a pool of entries, or a further client of the same pool.

    It ends with this process, or with `owner`.
    """

    def make(
        specs: Sequence[ModelSpec],
        owner: int = 0,
        *,
        preloaded: Sequence[ModelSpec] | None = None,
        memory: float = math.inf,
        **bounds: int,
    ) -> Engine:
        owner = owner or os.getpid()
        address = PoolAddress(specs, PROCESSES, owner, preloaded=preloaded, memory=memory)
        address.start()
        slicer = Slicer(PoolSettings(**bounds), PROCESSES)
        return Engine(PooledRunner(address, slicer, PROCESSES), clock=time.time)

    return make
