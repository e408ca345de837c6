"""The start of a pool, when something is in its way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pool_processes import modes, processes, server_of, wait_until

from tidemill.models.pool import start
from tidemill.models.pool.start import PoolAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.mark.parametrize("name", ["note", "-", "1x-abc"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_foreign_file(pools: Path, make_spec: MakeSpec, name: str, is_folder: bool) -> None:
    """What is no pool's folder is left alone."""
    pools.mkdir(mode=0o700)
    foreign = pools / name
    foreign.mkdir() if is_folder else foreign.touch()
    PoolAddress([make_spec()], 1, os.getpid()).start()
    assert foreign.exists()


def is_refused(address: PoolAddress) -> bool:
    """Return whether nobody listens to a pool's socket, which is still there."""
    try:
        address.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_stale_socket(root: Path, make_spec: MakeSpec) -> None:
    """A socket that nobody listens to is replaced."""
    address = PoolAddress([make_spec()], 1, os.getpid())
    address.start()
    os.kill(server_of(root), signal.SIGKILL)
    wait_until(lambda: is_refused(address))
    address.start()
    address.connect().close()


def test_owner_has_ended(root: Path, make_spec: MakeSpec) -> None:
    """There is no pool for a process that does not exist."""
    address = PoolAddress([make_spec()], 1, 2**22 + 1)  # above the system's limit
    with pytest.raises(OSError, match="ended at its start"):
        address.start()
    assert not processes(root)


def test_long_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path is short enough, however long the folder for temporary files is."""
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert start._root().parent == Path("/tmp")  # noqa: S108, SLF001


def interrupt(*_: object) -> None:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def can_make_namespace() -> bool:
    """Return whether this process may start another in a PID namespace of its own."""
    return shutil.which("unshare") is not None and not subprocess.call(
        [*UNSHARE, "true"], stderr=subprocess.DEVNULL
    )


@pytest.mark.skipif(not can_make_namespace(), reason="needs a privileged container")
def test_container_beside(root: Path, make_spec: MakeSpec) -> None:
    """A container that shares the folder for temporary files leaves the pool alone."""
    address = PoolAddress([make_spec()], 1, os.getpid())
    address.start()
    code = """
import os
from specs import make_spec
from tidemill.models.pool.start import PoolAddress
PoolAddress([make_spec()], 1, os.getpid()).start()
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(root)}
    subprocess.run([*UNSHARE, sys.executable, "-c", code], env=environment, check=True)
    address.connect().close()


def test_interrupt(root: Path, make_spec: MakeSpec) -> None:
    """After Ctrl-C, as in a notebook, no server goes on loading."""
    spec = make_spec(adapter="obedient_model:Obedient", options={"keep": "helper hang"})
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 3)
        with pytest.raises(KeyboardInterrupt):
            PoolAddress([spec], 1, os.getpid()).start()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    wait_until(lambda: not processes(root))  # one that is killed is there for a moment


def test_hung_load(root: Path, make_spec: MakeSpec) -> None:
    """If the load takes too long, the server's alarm ends it, and each process loads its own."""
    spec = make_spec(adapter="obedient_model:Obedient", options={"keep": "helper hang"})
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(PoolAddress([spec], 1, os.getpid()).start)
        wait_until(lambda: len(processes(root)) == 2)  # the server, which loads, and the helper
        os.kill(server_of(root), signal.SIGALRM)
        starting.result()
    assert modes(root) == {"separate"}
