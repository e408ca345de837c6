"""Answer requests for models: what HTTP and gRPC have in common."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from tidemill.errors import (
    DeadlineExceeded,
    MessageError,
    MissingField,
    RequestTooLarge,
    TidemillError,
)
from tidemill.inference.codec import fields_or_none, is_present, require_key
from tidemill.inference.engine import check_length, usable
from tidemill.inference.features import Completed, needs_features, without_store
from tidemill.inference.message import Assignment
from tidemill.inference.request import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output
    from tidemill.serving.batcher import Batcher
    from tidemill.serving.catalogue import Target
    from tidemill.settings.serving import ServingSettings

    T = TypeVar("T")


# Gets a request's target, its inputs, its key, and an answer for each input.
OnAnswers: TypeAlias = (
    "Callable[[Target, Sequence[str | MessageError], str | None, Sequence[Answer]], None]"
)


async def refuse_look_ups(requests: Sequence[Request]) -> list[Completed]:
    """Refuse the inputs that need features: this server has no store."""
    return without_store(requests)


# What completes the inputs of requests, in their order.
CompleteInputs: TypeAlias = "Callable[[Sequence[Request]], Awaitable[list[Completed]]]"


class Choice(NamedTuple):
    """The model that answers an input; `assignment` is None unless its route has variants."""

    spec: ModelSpec
    assignment: Assignment | None = None


class Answer(NamedTuple):
    """What one input gets: a JSON text, or an error that concerns only this input.

    `choice` is None if the input has an error because of which no model could be chosen. `span` is
    the start and the end of the call that predicted the input, in seconds since the epoch, and
    `features` has the generations of the tables that completed it, if its entry looks features up.
    """

    result: str | TidemillError
    choice: Choice | None = None
    span: tuple[float, float] | None = None
    features: dict[str, int] | None = None


class Service:
    """Choose a model for each input, and have it predicted in time."""

    def __init__(
        self,
        batcher: Batcher,
        settings: ServingSettings,
        *,
        complete: CompleteInputs = refuse_look_ups,
        on_answers: OnAnswers = lambda *_: None,
    ) -> None:
        """Take what runs the models, what completes inputs, and what is told of the answers."""
        self._batcher = batcher
        self._settings = settings
        self._complete = complete
        self._on_answers = on_answers
        self.is_draining = False

    def check_items(self, count: int) -> None:
        """Check a number of inputs, best before work is done for each of them.

        Raises:
            RequestTooLarge: A request must not have so many.

        """
        if count > self._settings.max_items:
            raise RequestTooLarge("inputs", self._settings.max_items, "max_items")

    def allowed(self, seconds: float | None) -> float:
        """Return the time for a request whose client allows some seconds, or says nothing."""
        limit = self._settings.timeout
        return limit if seconds is None else max(0.0, min(seconds, limit))

    async def within(self, seconds: float | None, answer: Awaitable[T]) -> T:
        """Return an answer if it comes in time.

        Raises:
            DeadlineExceeded: It does not.

        """
        allowed = self.allowed(seconds)
        try:
            async with asyncio.timeout(allowed):
                return await answer
        except TimeoutError:
            raise DeadlineExceeded(allowed) from None

    async def predict(
        self,
        target: Target,
        inputs: Sequence[str | MessageError],
        *,
        key: str | None = None,
        force: str | None = None,
        seconds: float | None = None,
    ) -> list[Answer]:
        """Return an answer for each input, in the same order; an error stays what it is.

        `key` and `force` choose a variant as a message's key and header do in a stream. `seconds`
        is the time that the client allows. If the caller is cancelled, the inputs that still wait
        are never predicted.

        Raises:
            QueueFull: The server takes no more inputs for one of the models.
            RequestTooLarge: The request has too many inputs.

        """
        self.check_items(len(inputs))
        allowed = self.allowed(seconds)
        deadline = asyncio.get_running_loop().time() + allowed
        answers, choices = _choose_all(target, inputs, key, force)
        requests = {n: Request(each.spec, str(inputs[n])) for n, each in choices.items()}
        completed = await self._completed(requests, deadline, allowed)
        groups: dict[str, list[tuple[int, str]]] = {}
        for index, done in completed.items():
            spec = choices[index].spec
            try:
                text = usable(spec, done.input) or ""
            except TidemillError as error:
                answers[index] = Answer(error, choices[index], features=done.features)
            else:
                groups.setdefault(spec.id, []).append((index, text))
        futures: dict[int, asyncio.Future[Output]] = {}
        try:
            for group in groups.values():
                indexes, texts = zip(*group, strict=True)
                submitted = self._batcher.submit(choices[indexes[0]].spec, texts, deadline)
                futures.update(zip(indexes, submitted, strict=True))
            if futures:
                left = deadline - asyncio.get_running_loop().time()
                await asyncio.wait(futures.values(), timeout=max(0.0, left))
        finally:
            for future in futures.values():
                future.cancel()  # those that are done stay so
        for index, future in futures.items():
            answer = _answer(future, allowed, choices[index])
            answers[index] = answer._replace(features=completed[index].features)
        ordered = [answers[index] for index in range(len(inputs))]
        self._on_answers(target, inputs, key, ordered)
        return ordered

    async def _completed(
        self, requests: dict[int, Request], deadline: float, allowed: float
    ) -> dict[int, Completed]:
        """Return the inputs of requests with the features that their entries look up."""
        if not any(map(needs_features, requests.values())):
            return {index: Completed(each.input) for index, each in requests.items()}
        try:
            async with asyncio.timeout_at(deadline):
                completed = await self._complete([*requests.values()])
        except TimeoutError:
            return dict.fromkeys(requests, Completed(DeadlineExceeded(allowed)))
        return dict(zip(requests, completed, strict=True))


def _choose_all(
    target: Target, inputs: Sequence[str | MessageError], key: str | None, force: str | None
) -> tuple[dict[int, Answer], dict[int, Choice]]:
    """Return the answers of the inputs that cannot be predicted, and the models of the others."""
    answers: dict[int, Answer] = {}
    choices: dict[int, Choice] = {}
    for index, text in enumerate(inputs):
        choice = None
        try:
            if isinstance(text, MessageError):
                raise text
            choice = choose(target, text, key, force)
            check_length(choice.spec, text)
        except MessageError as error:
            answers[index] = Answer(error, choice)
        else:
            choices[index] = choice
    return answers, choices


def choose(target: Target, text: str, key: str | None, force: str | None) -> Choice:
    """Choose the model for an input.

    The key of an A/B test is the value of the field `split_by` of an input that is an object, else
    `key`, else, unless the entry names such a field, the input itself. An empty key is none.

    Raises:
        UnknownVariant: The request forces a variant that the route does not have.
        MissingField: The route needs a key, and there is none.

    """
    route = target.route
    if target.variant is not None or not route.is_split:
        variant = target.variant or route.variants[0]
        forced = Assignment(variant.name, forced=True) if route.is_split else None
        return Choice(variant.spec, forced)
    if force is not None:
        return Choice(route.find(force).spec, Assignment(force, forced=True))
    key = key or text if route.split_by is None else _key(text, route.split_by, key)
    variant = route.choose(key)
    return Choice(variant.spec, Assignment(variant.name))


def _key(text: str, field: str, key: str | None) -> str:
    """Return the value of an input's field; if the input lacks it, the request's key."""
    fields = fields_or_none(text) or {}
    if is_present(fields, field):
        return require_key(fields, field)
    if not key:
        raise MissingField(field, 'Send "key" with the request: a text that decides the variant.')
    return key


def _answer(future: asyncio.Future[Output], allowed: float, choice: Choice) -> Answer:
    """Return the result of an input, or why there is none."""
    if future.cancelled():
        return Answer(DeadlineExceeded(allowed), choice)
    match future.exception():
        case None:
            output = future.result()
            return Answer(output.result, choice, output.span)
        case TimeoutError():
            return Answer(DeadlineExceeded(allowed), choice)
        case TidemillError() as error:
            return Answer(error, choice)
        case error:
            raise error
