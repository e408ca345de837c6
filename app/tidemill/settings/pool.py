"""The section `pool`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tidemill.settings.base import Section


class PoolSettings(Section):
    """The model processes that all tasks of a machine, or of an executor, share.

    Attributes:
        processes: The number of model processes; by default one for each core of the executor.
            Lower it if each process loads its own models, and they take too much memory.
        min_slice: The fewest inputs that a process takes at a time, as long as enough are waiting.
        max_slice: The most inputs that a process takes at a time. Within these bounds, Tidemill
            aims at calls that take a tenth of a second.

    """

    processes: int | None = Field(None, ge=1)
    min_slice: int = Field(1, ge=1)
    max_slice: int = Field(256, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_slice > self.max_slice:
            raise ValueError(f"min_slice {self.min_slice} exceeds max_slice {self.max_slice}")
        return self
