"""Cut inputs into slices: large enough for the model, small enough to share its processes."""

from __future__ import annotations

from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.inference.request import Output
    from tidemill.settings.pool import PoolSettings

# How long a slice should take. A shorter one costs a batching model more than it saves, and a
# longer one makes other tasks wait.
TARGET_S = 0.1
# Do not cut a slice that takes less, although another process may be idle.
WORTH_A_PROCESS_S = 0.04
# The size of a model's first slices, until its speed is known.
FIRST_SIZE = 4
# The weight of the last slice in a model's average time for an input.
WEIGHT = 0.3


Input = TypeVar("Input")


class Slicer:
    """Cut inputs into slices, whose size follows each model's speed."""

    def __init__(self, settings: PoolSettings, processes: int) -> None:
        """Take the bounds of a slice's size, and the number of processes that share the slices."""
        self._settings = settings
        self._processes = processes
        self._seconds: dict[str, float] = {}  # for an input, by model

    def cut(self, spec: ModelSpec, inputs: Sequence[Input]) -> list[list[Input]]:
        """Return slices of nearly equal size, in order; none has more inputs than allowed."""
        count = len(inputs)
        seconds = self._seconds.get(spec.id, TARGET_S / FIRST_SIZE)
        wanted = min(TARGET_S / max(seconds, 1e-9), self._settings.max_slice)
        size = min(max(int(wanted), self._settings.min_slice), spec.limits.batch)
        useful = min(self._processes, int(count * seconds / WORTH_A_PROCESS_S))
        slices = max(ceil(count / size), min(useful, count // self._settings.min_slice))
        bounds = [count * index // slices for index in range(slices + 1)] if count else []
        return [list(inputs[start:end]) for start, end in pairwise(bounds)]

    def record(self, spec: ModelSpec, outputs: Sequence[Output]) -> None:
        """Take the outputs of a slice, whose spans tell how fast the model is."""
        spans = [output.span for output in outputs if isinstance(output.result, str)]
        if not spans:
            return
        seconds = sum(end - start for start, end in set(spans)) / len(spans)
        average = self._seconds.get(spec.id, seconds)
        self._seconds[spec.id] = average + WEIGHT * (seconds - average)
