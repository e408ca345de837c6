"""Tests of the service, in virtual time: it chooses variants and answers every input in time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from tidemill.errors import (
    DeadlineExceeded,
    InputTooLong,
    MissingField,
    PredictionFailed,
    QueueFull,
    RequestTooLarge,
    TidemillError,
    UnknownVariant,
)
from tidemill.inference.codec import BYTE_ORDER_MARK
from tidemill.inference.engine import local_engine
from tidemill.inference.headers import FORCE_VARIANT
from tidemill.inference.message import Assignment, Failure, Message
from tidemill.inference.model import Limits
from tidemill.inference.predictor import Predictor
from tidemill.inference.request import Output
from tidemill.inference.route import Route, Variant, all_specs, single_routes
from tidemill.serving.batcher import Batcher, Policy
from tidemill.serving.catalogue import Target
from tidemill.serving.service import Answer, Choice, Service, choose
from tidemill.settings.serving import ServingSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tidemill.inference.model import ModelSpec

A, B = make_spec(name="ab", version="1"), make_spec(name="ab", version="2")
SPLIT = Route("ab", {}, (Variant("one", A, 30), Variant("two", B, 70)), salt="ab")
KEYS = st.none() | st.just("") | st.text()
JSON = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)


class Echo:
    """A model that answers with its inputs."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return [json.dumps(text) for text in inputs]


def in_stream(one: Route, message: Message) -> Assignment | str | None:
    """Return the variant of a message in a stream, or its error's class."""
    predictor = Predictor([one], local_engine(lambda _: Echo(), clock=float))
    (outcome,) = predictor.predict([message])
    return outcome.error_class if isinstance(outcome, Failure) else outcome.assignment


def in_server(
    one: Route, text: str, key: str | None = None, force: str | None = None
) -> Assignment | str | None:
    """Return the variant of an input in the server, or its error's class."""
    try:
        return choose(Target(one), text, key, force).assignment
    except TidemillError as error:
        return type(error).__name__


class TestChoose:
    """The server chooses as the stream does."""

    @given(st.text().filter(lambda text: not text.startswith(BYTE_ORDER_MARK)), KEYS)
    def test_key(self, text: str, key: str | None) -> None:
        """The key is a message's key, or else the whole value."""
        message = Message(text.encode(), None if key is None else key.encode())
        assert in_server(SPLIT, text, key) == in_stream(SPLIT, message)

    @given(st.dictionaries(st.sampled_from(["user", "x"]), JSON))
    def test_field(self, fields: dict[str, object]) -> None:
        """The key is the value of a field, whatever its type."""
        by_user = Route("ab", {}, SPLIT.variants, split_by="user", salt="ab")
        text = json.dumps(fields)
        assert in_server(by_user, text) == in_stream(by_user, Message(text.encode(), b"ignored"))

    @given(st.text(min_size=1), st.text())
    def test_field_before_key(self, user: str, key: str) -> None:
        """The field wins against the request's key, which stands in for a missing field."""
        by_user = Route("ab", {}, SPLIT.variants, split_by="user", salt="ab")
        text = json.dumps({"user": user})
        assert in_server(by_user, text, key) == in_server(by_user, text)
        assert in_server(by_user, "{}", user) == in_server(by_user, text)

    @pytest.mark.parametrize("text", ["a text", "{}", '{"user": null}'])
    def test_no_key(self, text: str) -> None:
        """An input without the field, in a request without a key, gets the hint to send a key."""
        by_user = Route("ab", {}, SPLIT.variants, split_by="user", salt="ab")
        with pytest.raises(MissingField) as caught:
            choose(Target(by_user), text, None, None)
        assert 'Send "key"' in caught.value.hint

    @pytest.mark.parametrize("force", ["one", "two", "three", ""])
    def test_forced(self, force: str) -> None:
        """A request forces a variant, as a header does."""
        message = Message(b"x", b"k", ((FORCE_VARIANT, force.encode()),))
        assert in_server(SPLIT, "x", "k", force) == in_stream(SPLIT, message)

    def test_version(self) -> None:
        """A version that a request names is a variant that it forces."""
        target = Target(SPLIT, SPLIT.variants[1])
        assert choose(target, "x", "k", None) == Choice(B, Assignment("two", forced=True))

    def test_no_variants(self) -> None:
        """A route without variants has no assignment, and needs no key."""
        one = single_routes([A])[0]
        assert choose(Target(one), "x", None, None) == Choice(A)


class Model:
    """Run each batch for 1 s and note its inputs; the input `bad` fails."""

    def __init__(self) -> None:
        """Begin without batches."""
        self.ran: list[str] = []

    async def run(self, _: ModelSpec, inputs: list[str]) -> list[Output]:
        """Return the inputs in capitals."""
        self.ran += inputs
        await asyncio.sleep(1)
        return [
            Output(
                PredictionFailed(ValueError(text)) if text == "bad" else json.dumps(text.upper()),
                (0, 1),
            )
            for text in inputs
        ]


class Served:
    """A service with a model of its own, and the answers that it counted."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - of ServingSettings
        """Create the service; it runs inputs one by one."""
        self.model = Model()
        options = ServingSettings(**{"max_items": 3, "max_queue": 3} | settings)
        batcher = Batcher(self.model.run, 1, Policy(max_size=1, max_queue=options.max_queue))
        self.counted: list[Answer] = []
        self.batcher = batcher
        self.service = Service(batcher, options, on_answers=self._count)

    def _count(self, *request_and_answers: Any) -> None:  # noqa: ANN401 - of the service
        self.counted += request_and_answers[-1]

    async def predict(self, *inputs: str, **arguments: Any) -> list[object]:  # noqa: ANN401
        """Return outputs, and the classes of errors."""
        answers = await self.service.predict(Target(SPLIT), inputs, **arguments)
        return [
            each.result if isinstance(each.result, str) else type(each.result) for each in answers
        ]


def served(scenario: Callable[[Served], Awaitable[None]], **settings: Any) -> Served:  # noqa: ANN401
    """Run a scenario in virtual time; return when nothing waits or runs."""

    async def run() -> Served:
        one = Served(**settings)
        await scenario(one)
        await virtual_time.drained(one.batcher, all_specs([SPLIT]))
        return one

    return virtual_time.run(run())


class TestPredict:
    """Each input gets one answer in time."""

    def test_order(self) -> None:
        """Answers are in the order of inputs, whatever their models and errors."""

        async def scenario(one: Served) -> None:
            assert await one.predict("a", "bad", "c") == ['"A"', PredictionFailed, '"C"']

        one = served(scenario)
        keys = ["a", "bad", "c"]
        assert [each.choice for each in one.counted] == [
            choose(Target(SPLIT), key, None, None) for key in keys
        ]

    def test_unroutable(self) -> None:
        """An input for which no model can be chosen has an error in its place."""

        async def scenario(one: Served) -> None:
            target = Target(Route("ab", {}, SPLIT.variants, split_by="user"))
            answers = await one.service.predict(target, ['{"user":1}', "{}"])
            assert isinstance(answers[0].result, str)
            assert isinstance(answers[1].result, MissingField)
            assert answers[1].choice is None
            assert await one.predict("a", "b", force="x") == [UnknownVariant, UnknownVariant]

        assert served(scenario).model.ran == ['{"user":1}']

    def test_too_long(self) -> None:
        """An input that is longer than its entry allows is not predicted."""
        spec = make_spec(limits=Limits(chars=3))

        async def scenario(one: Served) -> None:
            target = Target(single_routes([spec])[0])
            long, fits = await one.service.predict(target, ["abcd", "abc"])
            assert isinstance(long.result, InputTooLong)
            assert long.choice == fits.choice == Choice(spec)

        assert served(scenario).model.ran == ["abc"]

    def test_empty(self) -> None:
        """No inputs, no answers."""

        async def scenario(one: Served) -> None:
            assert await one.predict() == []

        served(scenario)

    def test_deadline(self) -> None:
        """An input that is not answered in time has an error, and does not run if it waits."""

        async def scenario(one: Served) -> None:
            start = asyncio.get_running_loop().time()
            answers = await one.predict("a", "b", "c", seconds=1.5)
            assert answers == ['"A"', DeadlineExceeded, DeadlineExceeded]
            assert asyncio.get_running_loop().time() - start == pytest.approx(1.5)

        assert served(scenario).model.ran == ["a", "b"]

    @pytest.mark.parametrize("seconds", [None, 99.0, float("inf")])
    def test_own_limit(self, seconds: float | None) -> None:
        """The server's own limit holds if the client allows more."""

        async def scenario(one: Served) -> None:
            assert await one.predict("a", "b", seconds=seconds) == ['"A"', DeadlineExceeded]

        served(scenario, timeout=1.5)

    @pytest.mark.parametrize("seconds", [0.0, -1.0])
    def test_past_deadline(self, seconds: float) -> None:
        """A request that comes too late is not predicted."""

        async def scenario(one: Served) -> None:
            assert await one.predict("a", seconds=seconds) == [DeadlineExceeded]

        assert served(scenario).model.ran == []

    def test_cancelled(self) -> None:
        """If a client leaves, its waiting inputs are never predicted and free their places."""

        async def scenario(one: Served) -> None:
            left = asyncio.create_task(one.predict("runs", "x", "y", force="one"))
            await asyncio.sleep(0.5)
            left.cancel()
            await asyncio.wait([left])
            assert left.cancelled()
            assert await one.predict("a", "b", "c", force="one") == ['"A"', '"B"', '"C"']

        assert served(scenario).model.ran == ["runs", "a", "b", "c"]

    def test_too_many(self) -> None:
        """A request has at most `max_items` inputs."""

        async def scenario(one: Served) -> None:
            with pytest.raises(RequestTooLarge, match="more than 3 inputs"):
                await one.predict("a", "b", "c", "d")

        assert served(scenario).model.ran == []

    def test_second_queue_full(self) -> None:
        """If the queue of one variant is full, the inputs of the other do not run either."""

        async def scenario(one: Served) -> None:
            waiting = [
                asyncio.create_task(one.predict(text, force="two")) for text in ("a", "b", "c", "d")
            ]
            await asyncio.sleep(0.1)  # one runs, three wait
            ones = [key for key in map(str, range(99)) if SPLIT.choose(key).name == "one"][:2]
            two = next(key for key in map(str, range(99)) if SPLIT.choose(key).name == "two")
            with pytest.raises(QueueFull) as caught:
                await one.predict(*ones, two)
            assert caught.value.retry_after >= 0
            assert await asyncio.gather(*waiting) == [['"A"'], ['"B"'], ['"C"'], ['"D"']]

        assert served(scenario).model.ran == ["a", "b", "c", "d"]

    def test_exception(self) -> None:
        """A fault of the pool is raised, not answered."""

        async def fail(_: ModelSpec, __: list[str]) -> list[Output]:
            raise OSError("no pool")

        async def scenario() -> None:
            settings = ServingSettings()
            service = Service(Batcher(fail, 1, Policy()), settings)
            with pytest.raises(OSError, match="no pool"):
                await service.predict(Target(SPLIT), ["a"])

        virtual_time.run(scenario())
