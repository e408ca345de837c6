"""The section `pool`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, ByteSize, Field, model_validator

from tidemill.settings.base import Section

Preload: TypeAlias = Literal["all", "none"] | tuple[str, ...]


def _check_preload(value: Any) -> Any:  # noqa: ANN401 - what a document may hold
    """Report one error instead of one for each kind of value."""
    if value in ("all", "none"):
        return value
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError("must be all, none, or a list of models, such as [a, b]")


class PoolSettings(Section):
    """The model processes that all tasks of a machine, or of an executor, share.

    Attributes:
        processes: The number of model processes; by default one for each core of the executor.
            Lower it if each process loads its own models, and they take too much memory.
        preload: The models to load before the job starts: `all`, `none`, or a list of names
            (`name` or `name:version`). The others are loaded when they are first needed.
        model_memory: The most memory that the models of all processes together may take, in bytes
            or as text such as `2GiB`; by default half of the memory of the machine or container.
            If it is not enough, the models that were not used for longest make room.
        min_slice: The fewest inputs that a process takes at a time, as long as enough are waiting.
        max_slice: The most inputs that a process takes at a time. Within these bounds, Tidemill
            aims at calls that take a tenth of a second.

    """

    processes: int | None = Field(None, ge=1)
    preload: Annotated[Preload, BeforeValidator(_check_preload)] = "all"
    model_memory: ByteSize | None = Field(None, ge=1)
    min_slice: int = Field(1, ge=1)
    max_slice: int = Field(256, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_slice > self.max_slice:
            raise ValueError(f"min_slice {self.min_slice} exceeds max_slice {self.max_slice}")
        return self
