"""What a model is, and how an entry of models.yaml describes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Model(Protocol):
    """Anything with `predict_all`; it needs no import from this project.

    One output for each input, in the same order; each output is one JSON value as text. Called
    again with the same inputs it gives the same outputs: after a crash a batch is repeated.
    """

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        ...


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry of models.yaml: a small, picklable description, never the loaded model.

    Attributes:
        name: The model's name.
        version: Its version, as text (quote it in YAML).
        adapter: `package.module:Class` of the model.
        options: Keyword arguments of the class's constructor.
        match: Fields and the values, text or whole numbers, that they must have in messages that
            this model answers; empty: it answers every message.
        payload: The field that holds the model's input; None: the whole value is the input.
        id_field: The field that identifies a message. The result repeats it, whatever JSON value it
            is, or has null if the message has none; None: the result has no such field.
        echo: Further fields that the result repeats if the message has them; "all": every field.
        result: The field of the result that the output lands under.
        sample: An input that the model always answers, which tells an outage from bad input.
        max_chars: The longest input, in characters.
        max_batch_size: The most inputs in one call of `predict_all`.

    """

    name: Name
    version: Name
    adapter: Annotated[str, msgspec.Meta(pattern=r"^[\w.]+:\w+$")]
    sample: str
    result: str
    options: dict[str, Any] = {}
    match: dict[str, str | int] = {}
    payload: str | None = None
    id_field: str | None = "uuid"
    echo: tuple[str, ...] | Literal["all"] = ()
    max_chars: Positive = 1_000_000
    max_batch_size: Positive = 256

    @property
    def id(self) -> str:
        """Return `name:version`, as results and headers carry it."""
        return f"{self.name}:{self.version}"


ModelLoader: TypeAlias = "Callable[[ModelSpec], Model]"
