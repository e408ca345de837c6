"""Run one model on one batch: call it, halve a failing batch, probe the model, take times."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill.errors import (
    MessageError,
    ModelUnavailable,
    PredictionFailed,
    TidemillError,
    WrongOutputCount,
)
from tidemill.inference.checks import check_outputs, check_sample, refusals, sample_of
from tidemill.inference.request import Output
from tidemill.inference.traces import log_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.errors import InvalidInput
    from tidemill.inference.model import Model, ModelLoader, ModelSpec

OURS = MessageError.__module__.rpartition(".")[0]  # the package of the errors
Clock: TypeAlias = "Callable[[], float]"


def run_batch(
    spec: ModelSpec, load: ModelLoader, inputs: Sequence[str | None], *, clock: Clock
) -> list[Output]:
    """Return the outputs of one batch, whose failures are outages if the model is down.

    The model does not see inputs that violate its schema. None stands for the model's sample.
    """
    outputs: list[Output] = []
    try:
        model = load(spec)
        sample, output_schema = attributes(spec, model)
        texts = [sample if text is None else text for text in inputs]
        refused = refusals(spec, model, texts)
        if refused:
            check_sample(spec, model, sample)
        # The sample becomes no dead letter: if it fails, the model is down, and the job says why.
        log = ignore if texts == [sample] else partial(log_once, spec.id)
        accepted = [text for index, text in enumerate(texts) if index not in refused]
        answered = []
        if accepted:
            answered = bisect_failures(model, accepted, clock, partial(probe, spec, model), log)
            answered = check_outputs(answered, output_schema)
        outputs = merge(refused, answered, clock)
        if any(is_failure(output) for output in answered):
            probe(spec, model)  # the model may have gone down during the batch
    except TidemillError as error:
        # Whatever fails before there are outputs is no input's fault.
        outage = ModelUnavailable(spec.id, error) if error.kind == "message" else error
        now = clock()
        down = Output(outage, (now, now))
        if not outputs:
            return [down] * len(inputs)
        return [down if is_failure(output) else output for output in outputs]
    return outputs


def merge(refused: dict[int, InvalidInput], answered: list[Output], clock: Clock) -> list[Output]:
    """Return the outputs of a batch: the errors of refused inputs by index, and the others."""
    if not refused:
        return answered
    now, rest = clock(), iter(answered)
    return [
        Output(refused[index], (now, now)) if index in refused else next(rest)
        for index in range(len(refused) + len(answered))
    ]


def ignore(_: MessageError) -> None:
    """Do nothing about the failure of an input."""


def is_failure(output: Output) -> bool:
    """Tell whether the model failed on the input."""
    return isinstance(output.result, MessageError)


def is_outage(output: Output) -> bool:
    """Tell whether the model is down."""
    return not isinstance(output.result, str | MessageError)


def probe(spec: ModelSpec, model: Model) -> str:
    """Return the model's output for its own sample.

    Raises:
        ModelUnavailable: The sample violates the schema, the model or one of its attributes raises,
            or its output is not JSON or violates the output's schema.
        SampleMissing: There is no sample.

    """
    sample, output_schema = attributes(spec, model)
    check_sample(spec, model, sample)
    try:
        (output,) = predict_checked(model, [sample])
        (checked,) = check_outputs([Output(output, (0, 0))], output_schema)
        result = checked.result
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as cause:
        raise ModelUnavailable(spec.id, to_message_error(cause)) from cause
    if isinstance(result, TidemillError):
        raise ModelUnavailable(spec.id, to_message_error(result)) from result
    return result


def attributes(spec: ModelSpec, model: Model) -> tuple[str, dict[str, Any] | None]:
    """Return the sample and the schema of outputs; read all attributes, which may be properties.

    Raises:
        ModelUnavailable: An attribute raises.
        SampleMissing: There is no sample.

    """
    try:
        getattr(model, "input_schema", None)
        return sample_of(spec, model), getattr(model, "output_schema", None)
    except (KeyboardInterrupt, GeneratorExit, TidemillError):
        raise
    except BaseException as cause:
        raise ModelUnavailable(spec.id, to_message_error(cause)) from cause


def bisect_failures(
    model: Model,
    inputs: list[str],
    clock: Clock,
    ensure_available: Callable[[], object] = lambda: None,
    on_failure: Callable[[MessageError], None] = ignore,
) -> list[Output]:
    """Return one output for each input; halve a failing batch until each bad input is alone.

    One bad input in a batch of n costs about 2 log2(n) extra calls. `ensure_available` is called
    once if a batch of several inputs fails, and raises if the model is down. `on_failure` gets the
    error of each input that fails alone, while the error still has its cause.
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
            # The frames of these exceptions would keep the model's objects alive.
            error.__cause__ = error.__context__ = error.__traceback__ = None
            return [Output(error, (start, clock()))]
        ensure_available()
    else:
        span = (start, clock())
        return [Output(output, span) for output in outputs]
    middle = len(inputs) // 2
    return [
        output
        for half in (inputs[:middle], inputs[middle:])
        for output in bisect_failures(model, half, clock, on_failure=on_failure)
    ]


def to_message_error(cause: BaseException) -> MessageError:
    """Wrap an exception from a model in PredictionFailed, unless it is one of our MessageErrors.

    A model's own subclass is wrapped too: a model in another process could not send it.
    """
    if isinstance(cause, MessageError) and type(cause).__module__.startswith(OURS):
        return cause
    return PredictionFailed(cause)


def predict_checked(model: Model, inputs: list[str]) -> list[str]:
    """Call `predict_all`, and check that it returns one output for each input.

    Raises:
        WrongOutputCount: The model returned too few or too many outputs, or something other than a
            list or tuple.

    """
    # A copy, because a model may change its list.
    outputs = model.predict_all(list(inputs))
    if not isinstance(outputs, list | tuple):
        raise WrongOutputCount(len(inputs), type(outputs).__name__)
    if len(outputs) != len(inputs):
        raise WrongOutputCount(len(inputs), len(outputs))
    return list(outputs)
