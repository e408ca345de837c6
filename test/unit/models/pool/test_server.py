"""What a model may do to the server that loads it and forks from it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from pool_processes import modes, processes, server_of, wait_until

from tidemill.errors import ModelCrashed, ModelUnavailable, PredictionFailed
from tidemill.inference.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.engine import Engine
    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]
    MakePool = Callable[..., Engine]

OBEDIENT = "obedient_model:Obedient"


def ask(engine: Engine, spec: ModelSpec, *texts: str) -> list[type]:
    """Return the types of the outcomes of inputs."""
    return [type(output.result) for output in engine.run([Request(spec, text) for text in texts])]


class TestLoad:
    """What a model does while the server loads it."""

    @pytest.mark.timeout(180)
    @pytest.mark.parametrize(
        ("keep", "outcome"), [("helper thread", str), ("helper exit", ModelUnavailable)]
    )
    def test_helper(
        self, make_pool: MakePool, make_spec: MakeSpec, root: Path, keep: str, outcome: type
    ) -> None:
        """A forked helper neither delays the second start nor outlives the first server."""
        spec = make_spec(adapter=OBEDIENT, options={"keep": keep})
        engine = make_pool([spec])
        assert modes(root) == {"separate"}
        assert ask(engine, spec, "a") == [outcome]

    @pytest.mark.timeout(180)
    def test_helper_is_shared(self, make_pool: MakePool, make_spec: MakeSpec, root: Path) -> None:
        """A helper alone does not keep the processes from sharing the model."""
        spec = make_spec(adapter=OBEDIENT, options={"keep": "helper"})
        assert ask(make_pool([spec]), spec, "a") == [str]
        assert modes(root) == {"shared"}

    @pytest.mark.parametrize("is_preloaded", [True, False])
    def test_archives(
        self,
        make_pool: MakePool,
        make_spec: MakeSpec,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        is_preloaded: bool,
    ) -> None:
        """Archives in sys.path, as Spark has them, may be read for the versions of packages."""
        archive = root / "spark.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("empty.py", "")
        monkeypatch.syspath_prepend(archive)
        spec = make_spec(adapter=OBEDIENT, options={"keep": "metadata"})
        engine = make_pool([spec], preloaded=[spec][:is_preloaded])
        first = server_of(root)
        assert ask(engine, spec, "a") == [str]
        assert modes(root) == {"shared"}
        if not is_preloaded:  # another server loads it, too
            wait_until(lambda: server_of(root) != first)

    def test_ignored_children(self, make_pool: MakePool, make_spec: MakeSpec, root: Path) -> None:
        """The server learns how its processes end although a model told the system to forget."""
        spec = make_spec(adapter=OBEDIENT, options={"keep": "zombies"})
        engine = make_pool([spec])
        server = server_of(root)
        assert ask(engine, spec, "a", "exit 3", "b") == [str, ModelCrashed, str]
        assert server_of(root) == server


def test_exception_outside_a_call(make_pool: MakePool, make_spec: MakeSpec) -> None:
    """A process that an exception ends, here SIGINT's, does not seem to have ended as it should."""
    spec = make_spec(adapter=OBEDIENT)
    (output,) = make_pool([spec]).run([Request(spec, "signal 2")])
    assert str(output.result) == "the model's process ended with exit code 70"


class TestTemporaryFiles:
    """Models put temporary files into the pool's folder."""

    def test_removed(self, make_pool: MakePool, make_spec: MakeSpec, root: Path) -> None:
        """They go with the pool, although its processes are killed."""
        spec = make_spec(adapter=OBEDIENT, options={"keep": "temporary"})
        with subprocess.Popen(["sleep", "3600"]) as owner:
            try:
                engine = make_pool([spec], owner=owner.pid)
                assert ask(engine, spec, "temporary") == [str]
                assert len([*root.glob("tidemill-*/*/tmp*")]) == 2
            finally:
                owner.kill()
            wait_until(lambda: not processes(root))
        assert not [*root.glob("tidemill-*/*")]


class TestOutput:
    """Where the server and its processes write."""

    def test_closed(self, make_pool: MakePool, make_spec: MakeSpec, root: Path) -> None:
        """A process whose model has closed standard output ends like any other."""
        spec = make_spec(adapter=OBEDIENT)
        engine = make_pool([spec])
        server = server_of(root)
        assert ask(engine, spec, *["close"] * 9) == [str] * 9
        assert ask(engine, spec, *["memory"] * 9) == [PredictionFailed] * 9
        assert ask(engine, spec, "a") == [str]
        assert server_of(root) == server

    @pytest.mark.parametrize("reader", ["pipe nobody reads", "socket"])
    def test_standard_error(self, root: Path, reader: str) -> None:
        """The server shares its models, and replaces processes, wherever its messages go."""
        code = f"""
import os, socket, time
here, there = os.pipe() if {reader == "socket"} is False else (
    end.detach() for end in socket.socketpair()
)
os.dup2(there, 2)
os.close(there)
if {reader != "socket"}:
    os.close(here)
from specs import make_spec
from tidemill.inference.engine import Engine
from tidemill.inference.request import Request
from tidemill.models.pool.client import PooledRunner
from tidemill.models.pool.slices import Slicer
from tidemill.models.pool.start import PoolAddress
from tidemill.settings import PoolSettings
spec = make_spec(adapter="{OBEDIENT}")
address = PoolAddress([spec], 2, {os.getpid()})
address.start()
engine = Engine(PooledRunner(address, Slicer(PoolSettings(), 2), 2), clock=time.time)
for output in engine.run([Request(spec, text) for text in ("a", "exit 3", "b")]):
    print(type(output.result).__name__)
"""
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(root)}
        output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
        assert output.split() == ["str", "ModelCrashed", "str"]
        assert modes(root) == {"shared"}
        assert len(processes(root)) == 3
