"""One batch of messages through decode, route, predict_all, encode: one outcome for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tidemill.errors import (
    InputTooLong,
    MessageError,
    ModelUnavailable,
    PredictionFailed,
    WrongOutputCount,
)
from tidemill.inference.codec import (
    copied_fields,
    decode_text,
    encode_result,
    fields_or_none,
    minify_json,
    not_an_object,
)
from tidemill.inference.message import Failure, Message, Outcome, Prediction
from tidemill.inference.router import Router, text
from tidemill.inference.traces import log_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import msgspec

    from tidemill.inference.codec import Fields
    from tidemill.inference.model import Model, ModelLoader, ModelSpec


@dataclass(frozen=True, slots=True)
class Request:
    """A message that a model can answer: its input, and what the result repeats."""

    index: int
    message: Message
    spec: ModelSpec
    input: str
    copied: dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What one input came to, and the span of the call, in seconds since the epoch."""

    said: str | MessageError
    span: tuple[float, float]

    @property
    def output(self) -> str:
        """The model's output.

        Raises:
            MessageError: There is none.

        """
        if isinstance(self.said, MessageError):
            raise self.said
        return self.said


Clock: TypeAlias = "Callable[[], float]"


class Predictor:
    """Turn messages into outcomes, aligned by index.

    It never raises for a message's sake. Where inputs fail and the model fails on its own sample
    too, it raises ModelUnavailable: the batch is tried again later, and an outage does not become
    dead letters.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        load: ModelLoader,
        *,
        clock: Clock,
    ) -> None:
        """Take the entries, and what loads one (cached by the caller)."""
        self._router = Router(specs)
        # If no entry looks at fields, no value is parsed.
        self._parse = any(s.match or s.payload or s.id_field or s.echo for s in specs)
        self._load = load
        self._clock = clock

    def predict(self, messages: Sequence[Message]) -> list[Outcome]:
        """Return the outcome of every message.

        Raises:
            ModelUnavailable: A model does not answer its own sample.

        """
        outcomes: dict[int, Outcome] = {}
        requests: dict[str, list[Request]] = {}
        for index, message in enumerate(messages):
            request = self._read(index, message)
            if isinstance(request, Failure):
                outcomes[index] = request
            else:
                requests.setdefault(request.spec.id, []).append(request)
        for group in requests.values():
            size = group[0].spec.max_batch_size
            for start in range(0, len(group), size):
                outcomes.update(self._answer(group[start : start + size]))
        return [outcomes[index] for index in range(len(messages))]

    def _read(self, index: int, message: Message) -> Request | Failure:
        """Decode and route one message."""
        spec = None
        try:
            value = decode_text(message.value)
            spec, fields = self._route(value)
            payload = text(fields, spec.payload) if spec.payload else value
            if len(payload) > spec.max_chars:
                raise InputTooLong(len(payload), spec.max_chars)
            copied = copied_fields(fields, spec)
        except MessageError as error:
            return Failure(error, spec.id if spec else None)
        return Request(index, message, spec, payload, copied)

    def _route(self, value: str) -> tuple[ModelSpec, Fields]:
        """Choose the entry that answers a value; also return the value's fields.

        Only an entry without `match` and without `payload` takes a value that is no JSON object.

        Raises:
            MessageError: No entry answers it.

        """
        fields = fields_or_none(value) if self._parse else {}
        if fields is not None:
            return self._router.route(fields), fields
        spec = self._router.for_all
        if spec is None or spec.payload:
            raise not_an_object(value)
        return spec, {}

    def _answer(self, batch: list[Request]) -> Iterator[tuple[int, Outcome]]:
        """Have one model answer one batch."""
        spec = batch[0].spec
        model = self._load(spec)

        def is_up() -> None:
            probe(spec, model)

        inputs = [request.input for request in batch]
        answers = bisect_failures(model, inputs, self._clock, is_up, partial(log_once, spec.id))
        outcomes = [self._encode(*pair) for pair in zip(batch, answers, strict=True)]
        if any(isinstance(outcome, Failure) for outcome in outcomes):
            is_up()  # it may have gone down since
        return zip((request.index for request in batch), outcomes, strict=True)

    def _encode(self, request: Request, answer: ModelOutput) -> Outcome:
        """Turn a model's answer into an outcome."""
        model = request.spec.id
        try:
            value = encode_result(
                request.copied, request.spec.result, answer.output, model, answer.span
            )
        except MessageError as error:
            return Failure(error, model)
        return Prediction(value, model)


def probe(spec: ModelSpec, model: Model) -> str:
    """Return the model's output for its own sample.

    Raises:
        ModelUnavailable: It raises, or gives no JSON value.

    """
    try:
        (output,) = call(model, [spec.sample])
        return minify_json(output)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as cause:
        raise ModelUnavailable(spec.id, failure(cause)) from cause


def bisect_failures(
    model: Model,
    inputs: list[str],
    clock: Clock,
    is_up: Callable[[], None] = lambda: None,
    failed: Callable[[MessageError], None] = lambda _: None,
) -> list[ModelOutput]:
    """Return an answer for each input; halve a batch that fails until the failing inputs are alone.

    One input that fails in a batch of n costs about 2 log2(n) calls more. `is_up` is called at the
    first failure of the whole, and raises where there is no use in going on. `failed` gets the
    error of each input that fails alone, while its cause is still there.
    """
    start = clock()
    try:
        outputs = call(model, inputs)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as cause:  # noqa: BLE001 - a panic of Rust is no Exception, nor an exit
        if len(inputs) == 1:
            error = failure(cause)
            failed(error)
            # The frames that they lead to hold what the model held.
            error.__cause__ = error.__context__ = error.__traceback__ = None
            return [ModelOutput(error, (start, clock()))]
        is_up()
    else:
        span = (start, clock())
        return [ModelOutput(output, span) for output in outputs]
    middle = len(inputs) // 2
    return [
        answer
        for half in (inputs[:middle], inputs[middle:])
        for answer in bisect_failures(model, half, clock, failed=failed)
    ]


def failure(cause: BaseException) -> MessageError:
    """Return the error of a message on which its model raised this."""
    return cause if isinstance(cause, MessageError) else PredictionFailed(cause)


def call(model: Model, inputs: list[str]) -> list[str]:
    """Return one output for each input.

    Raises:
        WrongOutputCount: The model returned too few or too many; what it raises comes out as it is.

    """
    # A copy: a model may do to its list what it likes.
    outputs = model.predict_all(list(inputs))
    if not isinstance(outputs, list | tuple):
        raise WrongOutputCount(len(inputs), type(outputs).__name__)
    if len(outputs) != len(inputs):
        raise WrongOutputCount(len(inputs), len(outputs))
    return list(outputs)
