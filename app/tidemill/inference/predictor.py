"""Predict a batch of messages: decode, route, call `predict_all`, encode."""

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
from tidemill.inference.router import Router, require_text
from tidemill.inference.traces import log_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import msgspec

    from tidemill.inference.codec import Fields
    from tidemill.inference.model import Model, ModelLoader, ModelSpec


@dataclass(frozen=True, slots=True)
class Request:
    """A routed message: the model's input, and the fields to copy into the result."""

    index: int
    message: Message
    spec: ModelSpec
    input: str
    copied: dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """A model's output for one input, or the error instead of one.

    `span` is the start and end of the call, in seconds since the epoch.
    """

    result: str | MessageError
    span: tuple[float, float]

    @property
    def text(self) -> str:
        """The output's text.

        Raises:
            MessageError: The model failed on the input.

        """
        if isinstance(self.result, MessageError):
            raise self.result
        return self.result


Clock: TypeAlias = "Callable[[], float]"


class Predictor:
    """Turn messages into outcomes, in the same order.

    A bad message never raises; it becomes a Failure. If inputs fail and the model also fails on its
    own sample, ModelUnavailable is raised, so that the batch is retried and an outage does not
    produce dead letters.
    """

    def __init__(self, specs: Sequence[ModelSpec], load: ModelLoader, *, clock: Clock) -> None:
        """Index the entries. `load` returns an entry's model, and should cache it."""
        self._router = Router(specs)
        # If no entry reads fields, no value is parsed.
        self._parse = any(s.match or s.payload or s.id_field or s.echo for s in specs)
        self._load = load
        self._clock = clock

    def predict(self, messages: Sequence[Message]) -> list[Outcome]:
        """Return one outcome for each message.

        Raises:
            ModelUnavailable: A model fails on its own sample.

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
                outcomes.update(self._predict_batch(group[start : start + size]))
        return [outcomes[index] for index in range(len(messages))]

    def _read(self, index: int, message: Message) -> Request | Failure:
        """Decode and route one message."""
        spec = None
        try:
            value = decode_text(message.value)
            spec, fields = self._route(value)
            payload = require_text(fields, spec.payload) if spec.payload else value
            if len(payload) > spec.max_chars:
                raise InputTooLong(len(payload), spec.max_chars)
            copied = copied_fields(fields, spec)
        except MessageError as error:
            return Failure(error, spec.id if spec else None)
        return Request(index, message, spec, payload, copied)

    def _route(self, value: str) -> tuple[ModelSpec, Fields]:
        """Return the entry that answers a value, and the value's fields.

        Only an entry without `match` and `payload` accepts a value that is not a JSON object.

        Raises:
            MessageError: No entry answers the value.

        """
        fields = fields_or_none(value) if self._parse else {}
        if fields is not None:
            return self._router.route(fields), fields
        spec = self._router.catch_all
        if spec is None or spec.payload:
            raise not_an_object(value)
        return spec, {}

    def _predict_batch(self, batch: list[Request]) -> Iterator[tuple[int, Outcome]]:
        """Call one model with one batch; return each message's index and outcome."""
        spec = batch[0].spec
        model = self._load(spec)

        def ensure_available() -> None:
            probe(spec, model)

        inputs = [request.input for request in batch]
        outputs = bisect_failures(
            model, inputs, self._clock, ensure_available, partial(log_once, spec.id)
        )
        outcomes = [self._encode(*pair) for pair in zip(batch, outputs, strict=True)]
        if any(isinstance(outcome, Failure) for outcome in outcomes):
            ensure_available()  # the model may have gone down during the batch
        return zip((request.index for request in batch), outcomes, strict=True)

    def _encode(self, request: Request, output: ModelOutput) -> Outcome:
        """Turn a model's output into an outcome."""
        model = request.spec.id
        try:
            value = encode_result(
                request.copied, request.spec.result, output.text, model, output.span
            )
        except MessageError as error:
            return Failure(error, model)
        return Prediction(value, model)


def probe(spec: ModelSpec, model: Model) -> str:
    """Return the model's output for its own sample.

    Raises:
        ModelUnavailable: The model raises, or its output is not JSON.

    """
    try:
        (output,) = predict_checked(model, [spec.sample])
        return minify_json(output)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as cause:
        raise ModelUnavailable(spec.id, to_message_error(cause)) from cause


def bisect_failures(
    model: Model,
    inputs: list[str],
    clock: Clock,
    ensure_available: Callable[[], None] = lambda: None,
    on_failure: Callable[[MessageError], None] = lambda _: None,
) -> list[ModelOutput]:
    """Return one output for each input; halve a failing batch until each bad input is alone.

    One bad input in a batch of n costs about 2 log2(n) extra calls. `ensure_available` is called
    once, when the whole batch fails, and raises if the model is down. `on_failure` gets the error
    of each input that fails alone, while the error still has its cause.
    """
    start = clock()
    try:
        outputs = predict_checked(model, inputs)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as cause:  # noqa: BLE001 - SystemExit and Rust's panics are no Exception
        if len(inputs) == 1:
            error = to_message_error(cause)
            on_failure(error)
            # Their frames would keep the model's objects alive.
            error.__cause__ = error.__context__ = error.__traceback__ = None
            return [ModelOutput(error, (start, clock()))]
        ensure_available()
    else:
        span = (start, clock())
        return [ModelOutput(output, span) for output in outputs]
    middle = len(inputs) // 2
    return [
        output
        for half in (inputs[:middle], inputs[middle:])
        for output in bisect_failures(model, half, clock, on_failure=on_failure)
    ]


def to_message_error(cause: BaseException) -> MessageError:
    """Return what a model raised as the error of a message."""
    return cause if isinstance(cause, MessageError) else PredictionFailed(cause)


def predict_checked(model: Model, inputs: list[str]) -> list[str]:
    """Call `predict_all`, and check that it returns one output for each input.

    Raises:
        WrongOutputCount: The model returned too few or too many outputs, or no list.

    """
    # A copy, because a model may change its list.
    outputs = model.predict_all(list(inputs))
    if not isinstance(outputs, list | tuple):
        raise WrongOutputCount(len(inputs), type(outputs).__name__)
    if len(outputs) != len(inputs):
        raise WrongOutputCount(len(inputs), len(outputs))
    return list(outputs)
