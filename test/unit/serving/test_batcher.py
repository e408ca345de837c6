"""Tests of micro-batching, in virtual time."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec
from virtual_time import drained

from tidemill.errors import QueueFull
from tidemill.inference.model import Limits, ModelSpec
from tidemill.inference.request import Output
from tidemill.serving.batcher import Batcher, Policy

SPECS = {name: make_spec(name=name) for name in "ab"}
TICK = 2**-10  # seconds; sums of them are exact
milliseconds = st.integers(0, 60).map(lambda ms: ms * TICK)


@dataclass
class Client:
    """A request: when it arrives, its inputs, its deadline, and when its client leaves."""

    at: float
    model: str
    inputs: list[str]
    deadline: float
    leaves: float


@dataclass
class Batch:
    """A batch that ran."""

    model: str
    inputs: list[str]
    start: float
    end: float = math.inf


@dataclass
class Server:
    """Run batches for some time each, and note them."""

    seconds: float
    batches: list[Batch] = field(default_factory=list)

    async def run(self, spec: ModelSpec, inputs: list[str]) -> list[Output]:
        """Return the inputs in capitals."""
        loop = asyncio.get_running_loop()
        batch = Batch(spec.name, inputs, loop.time())
        self.batches.append(batch)
        await asyncio.sleep(self.seconds)
        batch.end = loop.time()
        return [Output(text.upper(), (batch.start, batch.end)) for text in inputs]


@st.composite
def clients(draw: st.DrawFn) -> list[Client]:
    """Return requests in the order of their arrival; each input is unique."""
    now, requests = 0.0, []
    for number in range(draw(st.integers(1, 25))):
        now += draw(st.integers(1, 60)) * TICK
        requests.append(
            Client(
                now,
                draw(st.sampled_from("ab")),
                [f"{number}-{index}" for index in range(draw(st.integers(1, 6)))],
                now + draw(milliseconds) if draw(st.booleans()) else math.inf,
                now + draw(milliseconds) if draw(st.booleans()) else math.inf,
            )
        )
    return requests


def patient(at: int) -> Client:
    """Return a request that arrives at a millisecond, and waits."""
    return Client(at * TICK, "a", [str(at)], math.inf, math.inf)


policies = st.builds(
    Policy,
    max_size=st.integers(1, 5),
    max_wait=milliseconds,
    adaptive=st.booleans(),
)


async def ask(batcher: Batcher, client: Client) -> list[object]:
    """Return what a client gets for each of its inputs; nothing if it leaves."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(client.at - loop.time())
    futures = batcher.submit(SPECS[client.model], client.inputs, client.deadline)
    await asyncio.wait(
        futures, timeout=None if client.leaves == math.inf else client.leaves - loop.time()
    )
    answers: list[object] = []
    for future in futures:
        if future.cancel():
            answers.append(None)
        else:
            answers.append(future.exception() or future.result().result)
    return answers


async def serve(
    server: Server, requests: list[Client], policy: Policy, processes: int
) -> list[list[object]]:
    """Return what each client gets."""
    batcher = Batcher(server.run, processes, policy)
    answers = await asyncio.gather(*(ask(batcher, client) for client in requests))
    await drained(batcher, SPECS.values())
    return answers


class TestBatches:
    """Whatever arrives when, and whoever leaves."""

    @given(clients(), policies, st.integers(1, 3), milliseconds)
    def test_all(
        self, requests: list[Client], policy: Policy, processes: int, seconds: float
    ) -> None:
        """Each input has one outcome, order is kept, and no unwanted input runs."""
        server = Server(seconds)
        answers = virtual_time.run(serve(server, requests, policy, processes))
        ran = {text: batch for batch in server.batches for text in batch.inputs}
        assert len(ran) == sum(len(batch.inputs) for batch in server.batches)  # once each

        for client, answer in zip(requests, answers, strict=True):
            for text, got in zip(client.inputs, answer, strict=True):
                if got == text.upper():
                    assert text in ran
                elif isinstance(got, TimeoutError):
                    assert text not in ran
                else:
                    assert got is None
                    assert client.leaves < math.inf
                if text in ran:
                    assert ran[text].start < client.deadline
                    assert ran[text].start <= client.leaves
                    assert client.at <= ran[text].start

        for model in "ab":
            order = [
                text for batch in server.batches if batch.model == model for text in batch.inputs
            ]
            sent = [text for client in requests if client.model == model for text in client.inputs]
            assert order == [text for text in sent if text in ran]

    @given(clients(), policies, st.integers(1, 3), milliseconds)
    def test_starts(
        self, requests: list[Client], policy: Policy, processes: int, seconds: float
    ) -> None:
        """Batches are no larger than they may be, and start when the policy says so."""
        server = Server(seconds)
        virtual_time.run(serve(server, requests, policy, processes))
        arrivals = {text: client for client in requests for text in client.inputs}
        for batch in server.batches:
            assert 0 < len(batch.inputs) <= policy.max_size
            assert {arrivals[text].model for text in batch.inputs} == {batch.model}
            first = arrivals[batch.inputs[0]].at
            assert sum(b.start <= batch.start < b.end for b in server.batches) <= processes
            if batch.start in [b.end for b in server.batches if b is not batch]:
                continue  # it waited for a process
            if policy.adaptive:
                assert batch.start == first
            else:
                is_full = len(batch.inputs) == policy.max_size
                assert batch.start == (
                    arrivals[batch.inputs[-1]].at if is_full else first + policy.max_wait
                )

    def test_plain_rule(self) -> None:
        """A batch starts with its fourth input, or after 20 ms."""
        server = Server(0.0)
        requests = [patient(at) for at in (0, 1, 2, 3, 50)]
        virtual_time.run(serve(server, requests, Policy(adaptive=False), 1))
        assert [(batch.inputs, batch.start) for batch in server.batches] == [
            (["0", "1", "2", "3"], 3 * TICK),
            (["50"], 50 * TICK + 0.02),
        ]

    def test_adaptive_rule(self) -> None:
        """A batch starts at once if a process is free; while all are busy, batches fill."""
        server = Server(0.01)
        requests = [patient(at) for at in range(7)]
        virtual_time.run(serve(server, requests, Policy(), 1))
        assert [batch.inputs for batch in server.batches] == [
            ["0"],
            ["1", "2", "3", "4"],
            ["5", "6"],
        ]

    def test_models_take_turns(self) -> None:
        """A model with few requests is not held up by one with many."""
        server = Server(0.01)
        many = Client(0, "a", [str(number) for number in range(40)], math.inf, math.inf)
        one = Client(0.001, "b", ["one"], math.inf, math.inf)
        virtual_time.run(serve(server, [many, one], Policy(), 1))
        assert [batch.model for batch in server.batches[:4]] == ["a", "a", "b", "a"]

    def test_a_model_takes_less(self) -> None:
        """An entry's `limits.batch` bounds its batches."""
        server = Server(0.01)
        spec = make_spec(limits=Limits(batch=2))

        async def scenario() -> None:
            batcher = Batcher(server.run, 1, Policy())
            await asyncio.gather(*batcher.submit(spec, ["a", "b", "c"]))

        virtual_time.run(scenario())
        assert [batch.inputs for batch in server.batches] == [["a", "b"], ["c"]]


class TestFull:
    """A queue is bounded, and says when it will have room."""

    def test_retry_after(self) -> None:
        """The time is what those that wait will take, at the speed of the last batches."""
        server = Server(0.4)

        async def scenario() -> QueueFull:
            batcher = Batcher(server.run, 2, Policy(max_queue=8))
            await asyncio.gather(*batcher.submit(SPECS["a"], ["x"] * 8))  # 0.1 s each
            batcher.submit(SPECS["a"], ["running"] * 8)
            batcher.submit(SPECS["a"], ["waiting"] * 8)
            with pytest.raises(QueueFull) as caught:
                batcher.submit(SPECS["a"], ["one more"])
            batcher.submit(SPECS["b"], ["another model"])
            await drained(batcher, SPECS.values())
            return caught.value

        error = virtual_time.run(scenario())
        assert error.retry_after == pytest.approx(8 * 0.1 / 2)

    def test_room_of_those_that_left(self) -> None:
        """Inputs that nobody waits for take no room."""
        server = Server(1.0)

        async def scenario() -> None:
            batcher = Batcher(server.run, 1, Policy(max_size=1, max_queue=2))
            batcher.submit(SPECS["a"], ["running"])
            for future in batcher.submit(SPECS["a"], ["left", "left too"]):
                future.cancel()
            batcher.submit(SPECS["a"], ["stays"])
            assert batcher.waiting("a:1") == 1
            await drained(batcher, SPECS.values())

        virtual_time.run(scenario())
        assert [batch.inputs for batch in server.batches] == [["running"], ["stays"]]


class TestFailures:
    """A batch that cannot run fails its own inputs only."""

    def test_exception(self) -> None:
        """Whoever waits for an input of the batch gets the exception, and the next batch runs."""
        failing = [True, False]

        async def run(_: ModelSpec, inputs: list[str]) -> list[Output]:
            if failing.pop(0):
                raise OSError("no pool")
            return [Output(text, (0, 0)) for text in inputs]

        async def scenario() -> list[object]:
            batcher = Batcher(run, 1, Policy(max_size=1))
            futures = batcher.submit(SPECS["a"], ["x", "y"])
            return await asyncio.gather(*futures, return_exceptions=True)

        first, second = virtual_time.run(scenario())
        assert isinstance(first, OSError)
        assert isinstance(second, Output)
