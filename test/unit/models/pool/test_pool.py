"""The pool with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pool_processes import modes, processes, server_of, wait_until

from tidemill.errors import (
    ModelCrashed,
    ModelLoadFailed,
    ModelTimedOut,
    ModelUnavailable,
    PredictionFailed,
    WrongOutputCount,
)
from tidemill.inference.model import Limits
from tidemill.inference.request import Request
from tidemill.models.pool import server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tidemill.inference.engine import Engine
    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output

    MakeSpec = Callable[..., ModelSpec]
    MakePool = Callable[..., Engine]

LIMIT = 2.0
PATIENCE_S = 60.0
FAILURES = {
    "raise": PredictionFailed,
    "leave": PredictionFailed,
    "drop": WrongOutputCount,
    "memory": PredictionFailed,
    "hoard": PredictionFailed,
    "segfault": ModelCrashed,
    "exit 3": ModelCrashed,
    "helper 30": ModelCrashed,
    "hang": ModelTimedOut,
}


def limited(make_spec: MakeSpec, seconds: float) -> ModelSpec:
    """Return the entry of a model that obeys its inputs, with a time limit."""
    return make_spec(adapter="obedient_model:Obedient", limits=Limits(seconds=seconds))


@pytest.fixture
def spec(make_spec: MakeSpec) -> ModelSpec:
    """Return such an entry with a limit that good inputs keep, however busy the machine is."""
    return limited(make_spec, PATIENCE_S)


@pytest.fixture
def relay(make_spec: MakeSpec, root: Path) -> Callable[..., ModelSpec]:
    """Return what makes the entry of a model that answers so many texts in two processes only."""

    def make(count: int, keep: str = "") -> ModelSpec:
        options = {"log": str(root / "relay"), "count": count, "keep": keep}
        limits = Limits(seconds=PATIENCE_S)
        return make_spec(adapter="relay_model:Relay", options=options, limits=limits)

    return make


def ask(engine: Engine, spec: ModelSpec, texts: Sequence[str]) -> list[Output]:
    """Return the outputs of inputs."""
    return engine.run([Request(spec, text) for text in texts])


def check(texts: Sequence[str], outputs: Sequence[Output]) -> set[int]:
    """Check that each input has its own outcome; return the processes that answered."""
    pids = set()
    for text, output in zip(texts, outputs, strict=True):
        if failure := FAILURES.get(text):
            assert type(output.result) is failure, output
        else:
            assert isinstance(output.result, str), (text, output)
            pid, answered = json.loads(output.result)
            assert answered == text
            pids.add(pid)
    return pids


def member_of(root: Path) -> int:
    """Return one process that answers."""
    running = processes(root)
    return next(pid for pid, parent in running.items() if parent in running)


class TestAnswers:
    def test_all_processes(self, make_pool: MakePool, relay: MakeSpec) -> None:
        """One caller keeps all processes busy, and gets its answers in order."""
        spec, texts = relay(60), [f"relay {number}" for number in range(60)]
        assert len(check(texts, ask(make_pool([spec]), spec, texts))) == 2

    @pytest.mark.parametrize("text", sorted(FAILURES))
    def test_failure(self, make_pool: MakePool, make_spec: MakeSpec, text: str) -> None:
        """An input that fails or ends a process costs no other input its answer."""
        spec = limited(make_spec, LIMIT if text == "hang" else PATIENCE_S)
        texts = [*map(str, range(20)), text, *map(str, range(20, 40))]
        outputs = ask(make_pool([spec]), spec, texts)
        check(texts, outputs)
        if text == "segfault":
            assert str(outputs[20].result) == "the model's process ended by signal 11"
        if text == "hang":
            assert str(outputs[20].result) == "no answer within 2 s"

    @settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_any_mix(self, make_pool: MakePool, make_spec: MakeSpec, data: st.DataObject) -> None:
        """Each input has exactly one outcome, its own, whatever the others do."""
        failures = sorted(FAILURES.keys() - {"hang"})  # which would take too long
        orders = st.sampled_from([*failures, *["sleep 0.01", "print", "text"] * 3])
        texts = data.draw(st.lists(orders, min_size=1, max_size=60))
        if data.draw(st.integers(0, 4)) == 4:
            texts.insert(data.draw(st.integers(0, len(texts))), "hang")
        spec = limited(make_spec, LIMIT if "hang" in texts else PATIENCE_S)
        check(texts, ask(make_pool([spec], max_slice=data.draw(st.integers(1, 60))), spec, texts))

    def test_large_inputs(self, make_pool: MakePool, make_spec: MakeSpec) -> None:
        """Inputs larger than the socket's buffer pass in both directions."""
        spec = make_spec(adapter="obedient_model:Obedient", limits=Limits(chars=10_000_000))
        texts = [f"{number}{'ä' * 3_000_000}" for number in range(6)]
        check(texts, ask(make_pool([spec]), spec, texts))

    def test_two_entries(self, make_pool: MakePool, make_spec: MakeSpec) -> None:
        """A pool has all models; one that is down does not keep the other from answering."""
        good = make_spec(name="good", adapter="obedient_model:Obedient")
        bad = make_spec(name="bad", adapter="obedient_model:Obedient", options={"keep": "fail"})
        engine = make_pool([good, bad])
        outputs = engine.run([Request(good, "a"), Request(bad, "b"), Request(good, "c")])
        check(["a", "c"], [outputs[0], outputs[2]])
        assert isinstance(outputs[1].result, ModelLoadFailed)
        assert "no disk" in str(outputs[1].result)


class TestOutage:
    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"sample": "raise"}, ModelUnavailable),
            ({"sample": "segfault"}, ModelUnavailable),
            ({"options": {"keep": "fail"}}, ModelLoadFailed),
            ({"options": {"keep": "exit"}}, ModelUnavailable),
            ({"options": {"no": "such"}}, None),
        ],
    )
    def test_no_input_is_blamed(
        self, make_pool: MakePool, make_spec: MakeSpec, fields: dict[str, Any], error: type
    ) -> None:
        """If the model is down, the inputs that failed get an outage, soon."""
        spec = make_spec(adapter="obedient_model:Obedient", **fields)
        engine = make_pool([spec])
        start = time.monotonic()
        for output in ask(engine, spec, ["raise", "segfault"] * 200)[::50]:
            assert not isinstance(output.result, str)
            assert output.result.kind != "message"
            assert error is None or type(output.result) is error
        assert time.monotonic() - start < PATIENCE_S


class TestMode:
    @pytest.mark.parametrize("keep", ["thread", "socket", "file", "pipe", "helper thread"])
    def test_separate(self, make_pool: MakePool, relay: MakeSpec, root: Path, keep: str) -> None:
        """A model that keeps a thread or an open file is loaded by each process."""
        spec, texts = relay(20, keep), [f"relay {number}" for number in range(20)]
        assert len(check(texts, ask(make_pool([spec]), spec, texts))) == 2
        assert modes(root) == {"separate"}


class TestKilled:
    """Processes that are killed from outside while they work."""

    @pytest.fixture
    def killer(self, root: Path) -> Iterator[Callable[[Callable[[Path], int], float], None]]:
        """Return what kills a process of the pool again and again, until the test ends."""
        stop = threading.Event()
        threads = []

        def kill(choose: Callable[[Path], int], interval: float) -> None:
            def repeat() -> None:
                while not stop.wait(interval):
                    with suppress(StopIteration, ProcessLookupError):
                        os.kill(choose(root), signal.SIGKILL)

            threads.append(threading.Thread(target=repeat))
            threads[-1].start()

        yield kill
        stop.set()
        for thread in threads:
            thread.join()

    @pytest.mark.parametrize(("choose", "interval"), [(member_of, 0.3), (server_of, 1.2)])
    def test_nothing_is_lost_or_blamed(
        self,
        make_pool: MakePool,
        spec: ModelSpec,
        killer: Callable[..., None],
        choose: Callable[[Path], int],
        interval: float,
    ) -> None:
        """Each input gets its answer, though processes are killed all the time."""
        engine = make_pool([spec])
        killer(choose, interval)
        texts = [f"sleep 0.005 {number}" for number in range(1200)]
        check(texts, ask(engine, spec, texts))


class TestClients:
    CLIENT = """
import sys, time
from tidemill.inference.model import Limits
from tidemill.inference.request import Request
from tidemill.inference.engine import Engine
from tidemill.models.pool.client import PooledRunner
from tidemill.models.pool.slices import Slicer
from tidemill.models.pool.start import PoolAddress
from tidemill.settings import PoolSettings
from specs import make_spec
owner, text, count, seconds = sys.argv[1:]
spec = make_spec(adapter="obedient_model:Obedient", limits=Limits(seconds=float(seconds)))
address = PoolAddress([spec], 2, int(owner))
address.start()
engine = Engine(PooledRunner(address, Slicer(PoolSettings(), 2), 2), clock=time.time)
print("ready", flush=True)
texts = [text] * int(count)
print([output.result for output in engine.run([Request(spec, text) for text in texts])])
"""

    @pytest.fixture
    def client(self, root: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
        """Return what starts a client of the pool in a process of its own."""
        started = []

        def start(text: str, count: int, limit: float = PATIENCE_S) -> subprocess.Popen[str]:
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
            environment["TMPDIR"] = str(root)
            arguments = [str(os.getpid()), text, str(count), str(limit)]
            process = subprocess.Popen(
                [sys.executable, "-c", self.CLIENT, *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            started.append(process)
            return process

        yield start
        for process in started:
            process.kill()
            process.communicate()

    def test_first_come_first_served(
        self, make_pool: MakePool, spec: ModelSpec, client: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """A second client need not wait until the backlog of the first one is done."""
        engine = make_pool([spec])
        busy = client("sleep 0.1", 400)
        assert busy.stdout
        assert busy.stdout.readline() == "ready\n"
        check(["a"] * 20, ask(engine, spec, ["a"] * 20))
        assert busy.poll() is None

    def test_simultaneous_start(
        self, root: Path, client: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """Clients that start at the same time share one server."""
        clients = [client("a", 3) for _ in range(4)]
        for each in clients:
            output, _ = each.communicate(timeout=PATIENCE_S)
            assert output.count('"a"') == 3
        running = processes(root)
        assert len([pid for pid, parent in running.items() if parent not in running]) == 1
        assert len(running) == 3

    def test_client_that_hangs_ends(
        self,
        make_pool: MakePool,
        make_spec: MakeSpec,
        client: Callable[..., subprocess.Popen[str]],
    ) -> None:
        """The slices of a client that was killed end at their time limit."""
        spec = limited(make_spec, LIMIT)
        engine = make_pool([spec])
        hung = client("hang", 8, LIMIT)
        assert hung.stdout
        assert hung.stdout.readline() == "ready\n"
        time.sleep(0.3)
        hung.kill()
        start = time.monotonic()
        check(["a"], ask(engine, spec, ["a"]))
        assert time.monotonic() - start < PATIENCE_S  # one that hangs does so for an hour


class TestEnd:
    def test_owner_is_killed(self, make_pool: MakePool, spec: ModelSpec, root: Path) -> None:
        """No process, and no helper of a model, outlives the owner for long."""
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) as owner:
            try:
                engine = make_pool([spec], owner=owner.pid)
                ask(engine, spec, ["helper 300", "a"])
                # The helpers end with the processes that forked them.
                wait_until(lambda: len(processes(root)) == 3)
            finally:
                owner.kill()
            wait_until(lambda: not processes(root))
        wait_until(lambda: not any(root.glob("tidemill-*/*")))

    def test_socket_is_removed(self, make_pool: MakePool, spec: ModelSpec, root: Path) -> None:
        """A pool that no client can find any more ends; the next request starts another one."""
        engine = make_pool([spec])
        wait_until(lambda: len(processes(root)) == 3)
        first = processes(root)
        (socket_file,) = root.glob(f"tidemill-*/*/{server.SOCKET}")
        socket_file.unlink()
        check(["a"], ask(engine, spec, ["a"]))
        wait_until(lambda: not first.keys() & processes(root).keys())
        wait_until(lambda: len(processes(root)) == 3)

    def test_starter_ends_while_models_load(self, make_spec: MakeSpec, root: Path) -> None:
        """A pool that nobody waits for any more does not go on loading."""
        code = f"""
import os
from specs import make_spec
from tidemill.models.pool.start import PoolAddress
from tidemill.inference.model import Limits
spec = make_spec(adapter="example_models:SlowToLoad", options={{"seconds": 3600}})
PoolAddress([spec], 2, {os.getpid()}).start()
"""
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(root)}
        with subprocess.Popen([sys.executable, "-c", code], env=environment) as starter:
            wait_until(lambda: processes(root))
            starter.kill()
            wait_until(lambda: not processes(root))

    def test_orphaned_folder(self, make_pool: MakePool, spec: ModelSpec, root: Path) -> None:
        """The folder of a pool whose owner is gone disappears at the next start."""
        make_pool([spec])
        (pool,) = root.glob("tidemill-*/*")
        with subprocess.Popen(["true"]) as ended:
            ended.wait()
        namespace, _, digest = pool.name.split("-")
        orphan = pool.with_name(f"{namespace}-{ended.pid}-{digest}")
        others = [pool.with_name(f"1-{ended.pid}-{digest}"), pool.with_name("README")]
        for folder in (orphan, *others):
            folder.mkdir()
        make_pool([spec], owner=os.getppid())
        assert not orphan.exists()
        assert all(folder.exists() for folder in others)  # of another container, or not ours
