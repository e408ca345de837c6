"""Check a model's inputs, outputs and sample against its schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidemill.errors import (
    InvalidInput,
    InvalidOutput,
    MessageError,
    ModelUnavailable,
    SampleMissing,
    TidemillError,
    UnusableEntry,
)
from tidemill.inference.codec import minify_json
from tidemill.inference.request import Output
from tidemill.inference.schema import each_violation, violations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import Model, ModelSpec


def sample_of(spec: ModelSpec, model: Model) -> str:
    """Return the input that must always succeed: the entry's, or else the model's own.

    Raises:
        SampleMissing: There is none.
        UnusableEntry: The model's own is not JSON, which an entry without a sample gives a model.

    """
    if spec.sample is not None:
        return spec.sample
    sample = getattr(model, "sample", None)
    if not isinstance(sample, str):
        raise SampleMissing(spec.id)
    try:
        return minify_json(sample)
    except MessageError:
        reason = f"{spec.id} has a sample of its own that is not JSON, so it may take plain text"
        remedy = "Add `sample: …` to the entry: a text, if the model takes text."
        raise UnusableEntry("sample", reason, remedy) from None


def refusals(spec: ModelSpec, model: Model, texts: Sequence[str]) -> dict[int, InvalidInput]:
    """Return the inputs that violate the entry's schema, or else the model's own, by index."""
    schema = input_schema(spec, model)
    if not schema:
        return {}
    problems = enumerate(violations(schema, [as_json(spec, text) for text in texts]))
    return {index: InvalidInput(problem) for index, problem in problems if problem}


def input_violations(spec: ModelSpec, model: Model, text: str) -> list[str]:
    """Return each violation because of which `refusals` refuses an input."""
    schema = input_schema(spec, model)
    return each_violation(schema, as_json(spec, text)) if schema else []


def input_schema(spec: ModelSpec, model: Model) -> dict[str, Any] | None:
    """Return the JSON Schema of an input: the entry's, or else the model's own."""
    return getattr(model, "input_schema", None) if spec.schema is None else spec.schema


def as_json(spec: ModelSpec, text: str) -> str:
    """Return an input as the JSON that a schema describes."""
    return json.dumps(text) if spec.is_text else text


def check_sample(spec: ModelSpec, model: Model, sample: str) -> None:
    """Check the sample against the schema, which may be wrong and refuse everything.

    Raises:
        ModelUnavailable: The sample violates the schema.

    """
    for error in refusals(spec, model, [sample]).values():
        raise ModelUnavailable(spec.id, error)


def check_outputs(outputs: list[Output], schema: dict[str, Any] | None) -> list[Output]:
    """Return outputs without white space; those that violate the schema get an InvalidOutput."""
    checked = [check_output(output) for output in outputs]
    if not schema:
        return checked
    texts = [output.result if isinstance(output.result, str) else "" for output in checked]
    return [
        Output(InvalidOutput.against_schema(problem), output.span)
        if problem and isinstance(output.result, str)
        else output
        for output, problem in zip(checked, violations(schema, texts, "output"), strict=True)
    ]


def check_output(output: Output) -> Output:
    """Return an output without white space, or with an InvalidOutput if it is not a JSON value."""
    if isinstance(output.result, TidemillError):
        return output
    try:
        return Output(minify_json(output.result), output.span)
    except MessageError as error:
        return Output(error, output.span)
