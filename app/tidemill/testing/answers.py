"""Call a model as Tidemill does, and compare its answers."""

from __future__ import annotations

import json
import math
import traceback
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

from tidemill.errors import MessageError
from tidemill.errors.base import describe
from tidemill.inference.codec import minify_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidemill.inference.model import Model, ModelSpec

Kind: TypeAlias = Literal["json", "invalid", "miscounted", "raised"]
# Two answers that differ in more than their numbers.
DIFFERENT = math.inf


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to one input.

    `text` is the JSON without white space, or what is wrong, or the exception.
    """

    kind: Kind
    text: str

    @property
    def is_output(self) -> bool:
        """Whether it is an output, right or wrong."""
        return self.kind in {"json", "invalid"}


class WrongOutputs(Exception):
    """`predict_all` returned no list, or not one output for each input."""


def predict(spec: ModelSpec, model: Model, texts: Sequence[str]) -> list[Answer]:
    """Return the answers to a batch, which is cut to the entry's `limits.batch`.

    Raises:
        WrongOutputs: There is not one output for each input.
        BaseException: Whatever the model raises.

    """
    size = spec.limits.batch
    batches = [list(texts[start : start + size]) for start in range(0, len(texts), size)]
    return [judge(output) for batch in batches for output in _call(model, batch)]


def _call(model: Model, batch: list[str]) -> Iterator[object]:
    count = len(batch)
    outputs = model.predict_all(batch)  # it may change its list: nobody else uses it
    if not isinstance(outputs, list | tuple):
        raise WrongOutputs(f"predict_all returned {type(outputs).__name__}, not a list")
    if len(outputs) != count:
        raise WrongOutputs(f"predict_all returned {len(outputs)} output(s) for {count} input(s)")
    yield from outputs


def judge(output: object) -> Answer:
    """Return an output as an answer: JSON as Tidemill would write it, or what is wrong with it."""
    try:
        return Answer("json", minify_json(output))  # type: ignore[arg-type]
    except MessageError as error:
        return Answer("invalid", f"{output!r:.500} ({error})")


def failed(error: BaseException) -> Answer:
    """Return an exception from `predict` as an answer."""
    if isinstance(error, WrongOutputs):
        return Answer("miscounted", str(error))
    lines = [f" ({f.filename}:{f.lineno})" for f in traceback.extract_tb(error.__traceback__)]
    return Answer("raised", "".join([describe(error), *lines[-1:]]))


def distance(one: Answer, other: Answer) -> float:
    """Return how far two answers are apart.

    Answers with the same value are 0 apart. If they differ only in numbers, of which at least one
    of each pair has a fraction or an exponent, it is the largest difference of two numbers:
    relative to the larger one if that is above 1, else absolute. Otherwise it is infinite.
    """
    if one == other:
        return 0.0
    if (one.kind, other.kind) != ("json", "json"):
        return DIFFERENT
    return _distance(*(json.loads(answer.text, parse_int=Decimal) for answer in (one, other)))


def _distance(one: object, other: object) -> float:
    match one, other:
        case (float() as x, (float() | Decimal()) as y) | (Decimal() as y, float() as x):
            x, y = float(x), float(y)
            return abs(x - y) / max(1.0, abs(x), abs(y)) if x != y else 0.0
        case (dict(), dict()) if one.keys() == other.keys():
            return max((_distance(one[name], other[name]) for name in one), default=0.0)
        case (list(), list()) if len(one) == len(other):
            return max((_distance(*pair) for pair in zip(one, other, strict=True)), default=0.0)
    return 0.0 if type(one) is type(other) and one == other else DIFFERENT
