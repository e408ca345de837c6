"""Compare an ONNX model with its int8 form: accuracy, bytes and time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.models.adapters.onnx import Onnx, int8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNS = 5
CLOSE = 0.01  # relative


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `quantize: int8` changes.

    Attributes:
        inputs: The number of inputs that both models answered.
        agreement: The share of inputs for which both decide alike. An array or object of numbers
            decides for its largest; single numbers are alike if they differ by at most 1%.
        largest_difference: The largest difference between two numbers of the outputs.
        bytes_before, bytes_after: The sizes of the files.
        seconds_before, seconds_after: The time of one call with all inputs, the best of five.

    """

    inputs: int
    agreement: float
    largest_difference: float
    bytes_before: int
    bytes_after: int
    seconds_before: float
    seconds_after: float


def compare(artifact: str, inputs: Sequence[str], **options: Any) -> Comparison:  # noqa: ANN401
    """Return how a model and its int8 form differ on some inputs.

    `options` are those of `Onnx`, such as `output`.

    Raises:
        UnusableEntry: As `Onnx`.

    """
    path = Path(artifact)
    before, seconds_before = _predict(Onnx(artifact, **options), inputs)
    with int8(path) as quantized:
        after, seconds_after = _predict(Onnx(str(quantized), **options), inputs)
        bytes_after = quantized.stat().st_size
    pairs = list(zip(before, after, strict=True))
    return Comparison(
        inputs=len(pairs),
        agreement=sum(_agree(*pair) for pair in pairs) / len(pairs),
        largest_difference=max(
            (abs(a - b) for one, other in pairs for a, b in _numbers(one, other)), default=0.0
        ),
        bytes_before=path.stat().st_size,
        bytes_after=bytes_after,
        seconds_before=seconds_before,
        seconds_after=seconds_after,
    )


def _predict(model: Onnx, inputs: Sequence[str]) -> tuple[list[Any], float]:
    """Return the outputs, and the seconds that they take."""
    seconds = math.inf
    for _ in range(RUNS):
        start = time.perf_counter()
        texts = model.predict_all([*inputs])
        seconds = min(seconds, time.perf_counter() - start)
    return [msgspec.json.decode(text) for text in texts], seconds


def _agree(one: Any, other: Any) -> bool:  # noqa: ANN401 - JSON values
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=CLOSE)
    return bool(_decision(one) == _decision(other))


def _decision(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Return the place of the largest number in an array or object; else the value."""
    items = dict(enumerate(value)) if isinstance(value, list) else value
    if not isinstance(items, dict):
        return value
    if items and all(isinstance(item, int | float) for item in items.values()):
        return max(items, key=items.__getitem__)
    return {key: _decision(item) for key, item in items.items()}


def _numbers(one: Any, other: Any) -> Iterator[tuple[float, float]]:  # noqa: ANN401 - JSON values
    """Yield the pairs of numbers at the same places."""
    if isinstance(one, list) and isinstance(other, list):
        for pair in zip(one, other, strict=False):
            yield from _numbers(*pair)
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() & other.keys():
            yield from _numbers(one[key], other[key])
    elif isinstance(one, int | float) and isinstance(other, int | float):
        yield one, other
