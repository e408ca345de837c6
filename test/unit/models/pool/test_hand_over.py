"""What may happen while a server hands over to the next one."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pool_processes import processes, server_of, wait_until

from tidemill.inference.model import Limits
from tidemill.inference.request import Request
from tidemill.models.pool import exits
from tidemill.models.pool.client import PooledRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.engine import Engine
    from tidemill.inference.model import ModelSpec
    from tidemill.models.host import Usage

    MakeSpec = Callable[..., ModelSpec]
    MakePool = Callable[..., Engine]

MIB = 2**20


def ask(engine: Engine, spec: ModelSpec, text: str = "a") -> tuple[int, int]:
    """Return the process that answered, and the depth of its stack."""
    (output,) = engine.run([Request(spec, text)])
    assert isinstance(output.result, str), output
    pid, answered, depth = json.loads(output.result)
    assert answered == text
    return pid, depth


def usage(engine: Engine) -> dict[str, Usage]:
    """Return what a pool did, whether or not it was reported before."""
    runner = engine._runner  # noqa: SLF001
    assert isinstance(runner, PooledRunner)
    runner._reported = ("", -1)  # noqa: SLF001
    found = runner.usage()
    assert found
    return found.models


def servers(root: Path) -> list[int]:
    """Return the servers: the oldest one, and the one that follows it."""
    running = processes(root)
    found = []
    for pid in running:
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == os.getsid(pid):
                found.append(pid)
    return sorted(found, key=lambda pid: running[pid] in running)


def wait_for_another_server(root: Path, server: int) -> None:
    """Wait until a server has handed over to another one, and has ended."""
    wait_until(lambda: server_of(root) != server)


def successor(root: Path) -> int:
    """Wait for a second server; return it."""
    wait_until(lambda: len(servers(root)) == 2)
    return servers(root)[1]


def has_members(root: Path, server: int) -> bool:
    """Return whether a server has forked its two processes."""
    children = [pid for pid, parent in processes(root).items() if parent == server]
    with suppress(ProcessLookupError):
        return sum(os.getpgid(pid) == pid for pid in children) == 2
    return False


@pytest.fixture
def faulty(make_spec: MakeSpec) -> MakeSpec:
    """Return what makes the entry of a model that breaks the server."""

    def make(name: str, **options: object) -> ModelSpec:
        limits = Limits(seconds=600)  # an input may have to wait for a slow test
        adapter = "sized_models:Faulty"
        return make_spec(name=name, adapter=adapter, options=options, limits=limits)

    return make


class Held:
    """An input that keeps a process busy until it is released."""

    def __init__(self, engine: Engine, spec: ModelSpec, file: Path) -> None:
        """Ask for it in a thread, and wait until it has begun."""
        self._file = file
        self._thread = threading.Thread(target=ask, args=(engine, spec, f"wait {file}"))
        self._thread.start()
        self.wait(begun=1)

    def wait(self, begun: int) -> None:
        """Wait until it has begun so many times."""
        log = Path(f"{self._file}.begun")
        wait_until(lambda: log.exists() and log.read_text().count("\n") >= begun)

    def release(self) -> None:
        """Let it end, and wait for the answer."""
        assert self._thread.is_alive()
        self._file.touch()
        self._thread.join()


def test_depth(make_pool: MakePool, faulty: MakeSpec, root: Path) -> None:
    """A server's stack does not hold those of the servers before it."""
    specs = [faulty(name) for name in "abc"]
    engine = make_pool(specs, preloaded=specs[:1])
    first = server_of(root)
    depths = {ask(engine, specs[0])[1]}
    for spec in specs[1:]:
        ask(engine, spec)
        wait_for_another_server(root, first)
        first = server_of(root)
        depths.add(ask(engine, specs[0])[1])
    assert len(depths) == 1


def test_no_process_for_successor(
    make_pool: MakePool, faulty: MakeSpec, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server that cannot fork its successor goes on, and tries again later."""
    limited, wished = faulty("limited", fault="no third fork"), faulty("wished")
    engine = make_pool([limited, wished], preloaded=[limited])
    first = server_of(root)
    ask(engine, wished)
    wait_for_another_server(root, first)
    errors = capfd.readouterr().err
    assert "cannot fork: no more processes" in errors
    assert "ended with code" not in errors


def test_no_process_for_members(
    make_pool: MakePool, faulty: MakeSpec, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """If a successor cannot fork its processes, the server and its processes go on."""
    spec = faulty("a", fault="no fork")
    engine = make_pool([spec], preloaded=[])
    wait_until(lambda: len(processes(root)) == 3)
    before = processes(root)
    ask(engine, spec)
    errors = ""
    while "the next server ended" not in (errors := errors + capfd.readouterr().err):
        time.sleep(0.05)
    assert "ended with code 70, so this one goes on; not to be shared: none" in errors
    assert {ask(engine, spec)[0] for _ in range(9)} <= before.keys()
    assert before.keys() <= processes(root).keys()


def test_memory_is_short(make_pool: MakePool, faulty: MakeSpec, root: Path) -> None:
    """The kernel should kill a successor that loads rather than the server."""
    loaded = root / "loaded"
    spec = faulty("a", until=str(loaded))
    engine = make_pool([spec], preloaded=[])
    first = server_of(root)
    score = Path(f"/proc/{first}/oom_score_adj").read_text()
    ask(engine, spec)
    second = successor(root)
    file = Path(f"/proc/{second}/oom_score_adj")
    wait_until(lambda: file.read_text() == "1000\n")
    loaded.touch()
    wait_until(lambda: server_of(root) == second)
    assert file.read_text() == score


@pytest.mark.parametrize("delay", [0.0, 0.6])
def test_killed_after_it_took_over(
    make_pool: MakePool,
    faulty: MakeSpec,
    root: Path,
    delay: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old server, whose processes still work, answers again, and clients see this at once."""
    monkeypatch.setattr(exits, "END_KNOWN_S", 3600.0)
    spec = faulty("a", seconds=1.0, size=4 * MIB)
    engine = make_pool([spec], preloaded=[])
    first = server_of(root)
    ask(engine, spec)
    busy = Held(engine, spec, root / "busy")
    second = successor(root)
    wait_until(lambda: has_members(root, second))
    time.sleep(delay)  # the old server may have told its processes to end, or not
    lost = Held(engine, spec, root / "lost")
    os.kill(second, signal.SIGKILL)
    lost.release()
    for _ in range(4):
        ask(engine, spec)
    wait_until(lambda: server_of(root) == first)  # none of the second server's processes is left
    wait_until(lambda: usage(engine)["a:1"].bytes < 3 * 4 * MIB)
    busy.release()
    wait_for_another_server(root, first)  # it tries again


def test_old_server_is_killed(
    make_pool: MakePool, faulty: MakeSpec, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor that took over goes on, and a client whose process is gone sees it at once."""
    monkeypatch.setattr(exits, "END_KNOWN_S", 3600.0)
    spec = faulty("a")
    engine = make_pool([spec], preloaded=[])
    first = server_of(root)
    ask(engine, spec)
    busy = Held(engine, spec, root / "busy")
    second = successor(root)
    wait_until(lambda: has_members(root, second))
    time.sleep(0.6)
    os.kill(first, signal.SIGKILL)
    busy.wait(begun=2)  # again, in another process
    busy.release()
    wait_until(lambda: server_of(root) == second)


def test_memory_is_counted_once(make_pool: MakePool, faulty: MakeSpec, root: Path) -> None:
    """After the old processes have ended, the one model that is shared counts once."""
    spec = faulty("a", size=20 * MIB)
    engine = make_pool([spec], preloaded=[])
    first = server_of(root)
    both = [Held(engine, spec, root / name) for name in ("one", "two")]  # each in its process
    for held in both:
        held.release()
    wait_for_another_server(root, first)
    wait_until(lambda: 20 * MIB <= usage(engine)["a:1"].bytes < 30 * MIB)
    assert usage(engine)["a:1"].loads == 3
