"""Memory that runs out, and more processes that end than any client can follow."""

from __future__ import annotations

import json
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pool_processes import server_of

from tidemill.errors import ModelCrashed, PredictionFailed
from tidemill.inference.engine import Engine
from tidemill.inference.request import Request
from tidemill.models.pool.client import PooledRunner
from tidemill.models.pool.slices import Slicer
from tidemill.models.pool.start import PoolAddress
from tidemill.settings import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output

    MakeSpec = Callable[..., ModelSpec]
    MakePool = Callable[..., Engine]

GIB = 1 << 30


@pytest.fixture
def _little_memory() -> Iterator[None]:
    """Limit new processes to 4 GiB of address space."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def ask(engine: Engine, spec: ModelSpec, *texts: str) -> list[Output]:
    """Return the outputs of inputs."""
    return engine.run([Request(spec, text) for text in texts])


class TestMemory:
    @pytest.mark.usefixtures("_little_memory")
    def test_limit_is_inherited(self, make_pool: MakePool, make_spec: MakeSpec) -> None:
        """A process's memory limit holds in the pool; an input that exceeds it fails alone."""
        spec = make_spec(adapter="example_models:Poison")
        outputs = ask(make_pool([spec]), spec, *"abcdefgh", "memory", *"ijk")
        failure = outputs.pop(8).result
        assert isinstance(failure, PredictionFailed)
        assert "MemoryError" in str(failure)
        assert [output.result for output in outputs] == [f'"{text}"' for text in "ABCDEFGHIJK"]

    def test_process_is_replaced(
        self, make_pool: MakePool, make_spec: MakeSpec, root: Path
    ) -> None:
        """No process goes on that may still hold the memory; the server and its models do."""
        options = {"log": str(root / "relay"), "count": 8}
        spec = make_spec(adapter="relay_model:Relay", options=options)
        engine = make_pool([spec], max_slice=1)
        server = server_of(root)
        texts = [f"relay {number}" for number in range(8)]  # which need both processes
        before = {json.loads(str(output.result))[0] for output in ask(engine, spec, *texts)}
        failures = ask(engine, spec, *["memory"] * 8)
        assert {type(output.result) for output in failures} == {PredictionFailed}
        after = {json.loads(str(output.result))[0] for output in ask(engine, spec, *texts)}
        assert len(before) == 2
        assert before - after
        assert server_of(root) == server


def test_flood(root: Path, make_spec: MakeSpec, capfd: pytest.CaptureFixture[str]) -> None:
    """An input is tried three times, although many other processes end until its client can ask."""
    clients, count = 8, 30
    spec = make_spec(adapter="obedient_model:Obedient")
    address = PoolAddress([spec], 2, os.getpid())
    address.start()

    def client(_: int) -> list[Output]:
        slicer = Slicer(PoolSettings(max_slice=1), count)
        engine = Engine(PooledRunner(address, slicer, count), clock=time.time)
        return ask(engine, spec, *["exit 3"] * count, "a")

    with ThreadPoolExecutor(clients) as threads:
        for outputs in threads.map(client, range(clients)):
            assert {type(output.result) for output in outputs[:-1]} == {ModelCrashed}
            assert isinstance(outputs[-1].result, str)
    ends = capfd.readouterr().err.count("ended with code 3")
    assert 2 * clients * count < ends <= 3 * clients * count
