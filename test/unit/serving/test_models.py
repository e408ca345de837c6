"""Tests of what the server knows about its models."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from specs import make_spec
from structlog.testing import capture_logs

from tidemill.errors import ModelLoadFailed, ModelUnavailable, PoolUnavailable
from tidemill.inference.request import Output
from tidemill.models.pool.outputs import Description
from tidemill.serving import models as module
from tidemill.serving.models import READY, Models

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tidemill.inference.model import ModelSpec

SPEC = make_spec(name="a")
DOWN = ModelLoadFailed("a:1", OSError("no weights"))
WAIT_S = 60.0


@dataclass
class Pool:
    """A pool that answers once it may, and notes what it was asked."""

    is_down: bool = False
    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def run_slice(self, spec: ModelSpec, inputs: list[str | None]) -> list[Output]:
        """Answer each input."""
        self.asked.append("sample" if inputs == [None] else "batch")
        assert self.may_answer.wait(WAIT_S)
        result: Any = ModelUnavailable(spec.id, DOWN) if self.is_down else '"x"'
        return [Output(result, (0, 0)) for _ in inputs]

    def describe(self, spec: ModelSpec) -> Description:
        """Describe a model."""
        self.asked.append("describe")
        assert self.may_answer.wait(WAIT_S)
        if self.is_down:
            raise DOWN
        return Description("s", None, None)


def run(pool: Pool, scenario: Callable[[Models], Awaitable[None]]) -> None:
    """Run a scenario; a future whose exception nobody retrieves fails it."""

    async def main() -> None:
        lost: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
        start: Any = lambda: pool  # noqa: E731
        models = Models(start, 1)
        await scenario(models)
        pool.may_answer.set()
        models.close()
        while models.is_busy:  # noqa: ASYNC110 - a thread's
            await asyncio.sleep(0.01)
        assert not lost

    asyncio.run(main())


async def give_up(question: Awaitable[object]) -> None:
    """Ask, but do not wait for the answer."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await question


def test_shared_question() -> None:
    """All who ask at the same time share one question, and its answer is kept."""
    pool = Pool()

    async def scenario(models: Models) -> None:
        asking = [asyncio.ensure_future(models.problem(SPEC)) for _ in range(5)]
        await asyncio.sleep(0)
        pool.may_answer.set()
        assert await asyncio.gather(*asking) == [None] * 5
        assert await models.problem(SPEC) is None
        assert models.state(SPEC) == (READY, "")
        assert pool.asked == ["sample"]

    run(pool, scenario)


@pytest.mark.parametrize("is_down", [False, True])
def test_giving_up(is_down: bool) -> None:
    """The answer counts even if whoever asked has given up."""
    pool = Pool(is_down)

    async def scenario(models: Models) -> None:
        await give_up(models.problem(SPEC))
        await give_up(models.describe(SPEC))
        pool.may_answer.set()
        while len(pool.asked) < 2 or models.is_busy:  # noqa: ASYNC110 - a thread's
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        assert models.doubt(SPEC) == (2 if is_down else 0)
        assert (await models.problem(SPEC) is not None) == is_down
        assert sorted(pool.asked) == ["describe", "sample"]

    run(pool, scenario)


def test_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is down is tried again, but not at every question."""
    pool = Pool(is_down=True)
    pool.may_answer.set()
    monkeypatch.setattr(module, "RETRY_S", 3600.0)

    async def scenario(models: Models) -> None:
        for _ in range(3):
            assert isinstance(await models.problem(SPEC), ModelUnavailable)
        assert pool.asked == ["sample"]
        pool.is_down = False
        monkeypatch.setattr(module, "RETRY_S", 0.0)
        assert await models.problem(SPEC) is None
        assert pool.asked == ["sample", "sample"]

    run(pool, scenario)


def test_batches() -> None:
    """A batch tells whether a model works, but its sample alone tells that it does not."""
    pool = Pool(is_down=True)
    pool.may_answer.set()

    async def scenario(models: Models) -> None:
        await models.run(SPEC, ["a"])
        assert models.state(SPEC)[0] != READY
        pool.is_down = False
        await models.run(SPEC, ["a"])
        assert models.state(SPEC) == (READY, "")

    run(pool, scenario)


def test_start() -> None:
    """Models can be asked while the pool starts; the log says which do not work."""
    pool = Pool(is_down=True)
    pool.may_answer.set()
    may_start = threading.Event()

    def start() -> Any:  # noqa: ANN401 - the pool
        assert may_start.wait(WAIT_S)
        return pool

    async def scenario() -> None:
        models = Models(start, 1)
        starting = asyncio.ensure_future(models.try_all([SPEC]))
        asking = asyncio.ensure_future(models.run(SPEC, ["a"]))
        await asyncio.sleep(0.05)
        assert not models.is_started
        assert not asking.done()
        may_start.set()
        await starting
        assert models.is_started
        assert len(await asking) == 1
        models.close()

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert [line["log_level"] for line in logs] == ["error", "warning"]
    assert logs[1]["first"] == ["a:1"]


def test_no_pool() -> None:
    """Without a pool the start fails."""

    def start() -> Any:  # noqa: ANN401 - the pool
        raise PoolUnavailable(OSError("no memory"))

    async def scenario() -> None:
        models = Models(start, 1)
        with pytest.raises(PoolUnavailable):
            await models.try_all([SPEC])
        models.close()

    start_time = time.monotonic()
    asyncio.run(scenario())
    assert time.monotonic() - start_time < WAIT_S
