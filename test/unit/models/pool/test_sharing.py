"""Models that are loaded when they are first needed, and then by the server, too."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pool_processes import processes, server_of, wait_until

from tidemill.errors import ModelUnavailable
from tidemill.inference.request import Request
from tidemill.models.pool.client import PooledRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.inference.engine import Engine
    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]
    MakePool = Callable[..., Engine]

MIB = 2**20


@pytest.fixture
def logs() -> Callable[[ModelSpec], list[int]]:
    """Return what returns the processes that have loaded an entry's model, once for each load."""

    def read(spec: ModelSpec) -> list[int]:
        file = Path(spec.options["log"])
        return list(map(int, file.read_text().split())) if file.exists() else []

    return read


@pytest.fixture
def sized(make_spec: MakeSpec, root: Path) -> MakeSpec:
    """Return what makes the entry of a model that notes its loads."""

    def make(name: str, size: int = 0, keep: str = "") -> ModelSpec:
        options = {"log": str(root / name), "size": size, "keep": keep}
        return make_spec(name=name, adapter="sized_models:Sized", options=options)

    return make


def ask(
    engine: Engine, specs: Sequence[ModelSpec], count: int = 1, seconds: float = 0.0
) -> set[int]:
    """Ask every model some times; return the processes that answered."""
    requests = [Request(spec, f"{n} {seconds}") for n in range(count) for spec in specs]
    pids = set()
    for request, output in zip(requests, engine.run(requests), strict=True):
        assert isinstance(output.result, str), output
        pid, text, *_ = json.loads(output.result)
        assert text == request.input
        pids.add(pid)
    return pids


def load_in_all(engine: Engine, specs: Sequence[ModelSpec], logs: Callable[..., list[int]]) -> None:
    """Ask until two processes have loaded every model."""
    wait_until(lambda: ask(engine, specs, 4, 0.01) and all(len(logs(spec)) > 1 for spec in specs))


class TestPreload:
    def test_some(
        self, make_pool: MakePool, sized: MakeSpec, logs: Callable[..., list[int]]
    ) -> None:
        """Some models are loaded at the start, once; the others when they are needed."""
        specs = [sized(name) for name in "abc"]
        engine = make_pool(specs, preloaded=specs[1:2])
        assert [len(logs(spec)) for spec in specs] == [0, 1, 0]
        ask(engine, specs[:2])
        assert [len(logs(spec)) for spec in specs] == [1, 1, 0]

    @pytest.mark.parametrize("what", ["nothing", "thread", "socket"])
    def test_shareable(
        self, make_pool: MakePool, make_spec: MakeSpec, root: Path, what: str
    ) -> None:
        """If a model keeps a thread or a socket, each process answers with one of its own."""
        log = root / "loads"
        options = {"log": str(log), "what": what}
        spec = make_spec(adapter="example_models:Keeper", options=options)
        (output,) = make_pool([spec]).run([Request(spec, "t")])
        assert isinstance(output.result, str), output
        has_own = str(json.loads(output.result)["pid"]) in log.read_text().split()
        assert has_own == (what != "nothing")

    def test_little_memory(
        self, make_pool: MakePool, sized: MakeSpec, logs: Callable[..., list[int]], root: Path
    ) -> None:
        """The server loads what fits; the processes keep one of the others at a time."""
        specs = [sized(name, 20 * MIB) for name in "abcde"]
        engine = make_pool(specs, memory=50 * MIB)
        server = server_of(root)
        assert [logs(spec) for spec in specs] == [[server]] * 3 + [[]] * 2
        for _ in range(3):
            ask(engine, specs)
        assert all(logs(spec) and server not in logs(spec) for spec in specs[3:])

    def test_crash_at_load(self, make_pool: MakePool, make_spec: MakeSpec, sized: MakeSpec) -> None:
        """A model that ends each process that loads it is down; the other models answer."""
        bad = make_spec(name="bad", adapter="example_models:EndsAtLoad")
        good = sized("good")
        engine = make_pool([bad, good], preloaded=[])
        outputs = engine.run([Request(good, "a"), Request(bad, "b"), Request(good, "c")])
        assert [type(output.result) for output in outputs] == [str, ModelUnavailable, str]


class TestSharing:
    def test_nothing_is_lost(
        self,
        make_pool: MakePool,
        sized: MakeSpec,
        logs: Callable[..., list[int]],
        root: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Under load, all processes are replaced by ones that share the models."""
        specs = [sized(name) for name in "abcdef"]
        engine = make_pool(specs, preloaded=[], max_slice=2)
        first = server_of(root)
        while server_of(root) == first:
            ask(engine, specs, 20, 0.01)

        def all_share() -> bool:
            """Return whether both processes answer, and neither has loaded a model itself."""
            after = ask(engine, specs, 20, 0.01)
            return len(after) == 2 and not any(after & {*logs(spec)} for spec in specs)

        wait_until(all_share)  # on a busy machine, only a further server has the last models
        for spec in specs:
            loads = Counter(logs(spec))
            assert set(loads.values()) == {1}
            assert first not in loads
        wait_until(lambda: len(processes(root)) == 3)
        assert "ended with code" not in capfd.readouterr().err

    @pytest.mark.parametrize("keep", ["exit", "fail", "file", "hang"])
    def test_server_cannot_load(
        self,
        make_pool: MakePool,
        sized: MakeSpec,
        logs: Callable[..., list[int]],
        root: Path,
        keep: str,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """A model that the server cannot load stays in the processes; the others move."""
        bad, good = sized("bad", keep=keep), sized("good")
        engine = make_pool([bad, good], preloaded=[])
        first = server_of(root)
        load_in_all(engine, [bad], logs)
        load_in_all(engine, [bad, good], logs)
        while server_of(root) not in logs(good):
            assert ask(engine, [bad, good])
            if keep == "hang":
                interrupt_hung_server(root, first, logs(bad))
        wait_until(lambda: len(processes(root)) == 3)
        second, loaded = server_of(root), len(logs(good))
        load_in_all(engine, [bad], logs)
        ask(engine, [bad, good], 20)
        time.sleep(3)  # longer than the server waits for further wishes
        assert len(logs(good)) == loaded
        assert second in logs(good)
        assert server_of(root) == second
        warning = "the server cannot load bad:1" if keep == "fail" else "not to be shared: bad:1"
        assert capfd.readouterr().err.count(warning) == 1

    def test_least_recently_used(
        self, make_pool: MakePool, sized: MakeSpec, logs: Callable[..., list[int]], root: Path
    ) -> None:
        """The server, too, evicts the models that no process has used for longest."""
        specs = [sized(name, 20 * MIB) for name in "abcd"]
        engine = make_pool(specs, preloaded=specs[:3], memory=70 * MIB)
        first = server_of(root)
        ask(engine, [specs[0], specs[2]])
        load_in_all(engine, specs[3:], logs)
        wait_until(lambda: server_of(root) != first)
        before = [len(logs(spec)) for spec in specs]
        ask(engine, specs, 2)
        again = [len(logs(spec)) - count for spec, count in zip(specs, before, strict=True)]
        assert (again[0], again[2], again[3]) == (0, 0, 0)
        assert again[1] > 0

    @pytest.mark.parametrize("victim", ["server", "process"])
    def test_killed(
        self,
        make_pool: MakePool,
        sized: MakeSpec,
        root: Path,
        victim: str,
    ) -> None:
        """Each input gets its answer, though processes are killed while models move."""
        specs = [sized(f"m{number}") for number in range(30)]
        engine = make_pool(specs, preloaded=[])
        stop = threading.Event()

        def kill() -> None:
            while not stop.wait(1.3):
                with suppress(StopIteration, ProcessLookupError):
                    server = server_of(root)
                    parents = processes(root)
                    below = [pid for pid, parent in parents.items() if parent == server]
                    os.kill(server if victim == "server" else below[0], signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            for start in range(0, 30, 3):
                ask(engine, specs[start : start + 3], 60, 0.005)
        finally:
            stop.set()
            thread.join()


def interrupt_hung_server(root: Path, server: int, loading: list[int]) -> None:
    """Send the alarm that a server which hangs in a load sets for itself."""
    for pid, parent in processes(root).items():
        with suppress(ProcessLookupError):
            if parent == server and pid in loading and os.getpgid(pid) == server:
                os.kill(pid, signal.SIGALRM)


class TestManyModels:
    def test_all_processes(self, make_pool: MakePool, make_spec: MakeSpec, root: Path) -> None:
        """Models with one message each are called at the same time."""
        names = [f"m{number}" for number in range(40)]
        options = {"log": str(root / "relay"), "count": len(names)}
        specs = [make_spec(name=n, adapter="relay_model:Relay", options=options) for n in names]
        outputs = make_pool(specs).run([Request(spec, f"relay {spec.name}") for spec in specs])
        answers = [json.loads(str(output.result)) for output in outputs]
        assert [text for _, text in answers] == [f"relay {name}" for name in names]
        assert len({pid for pid, _ in answers}) == 2

    @pytest.mark.parametrize("is_read", [False, True])
    def test_closed(self, make_pool: MakePool, sized: MakeSpec, is_read: bool) -> None:
        """If a caller stops reading, the slices that have not begun are cancelled."""
        spec = sized("m")
        engine = make_pool([spec], max_slice=1)
        assert isinstance(engine._runner, PooledRunner)  # noqa: SLF001
        batches = engine._runner.run(spec, ["a 0.5"] * 200)  # noqa: SLF001
        if is_read:
            next(batches)
        batches.close()
        start = time.monotonic()
        ask(engine, [spec])
        assert time.monotonic() - start < 40  # all of them take 50 s
        engine._runner._threads.shutdown()  # wait for those that had begun  # noqa: SLF001
