"""Define what a model is, and how an entry of models.yaml describes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Model(Protocol):
    """Any object with a method `predict_all`; it needs nothing from this package.

    `predict_all` returns one output for each input, in the same order. Each output is the text of
    one JSON value. Equal inputs must give equal outputs, because a batch is repeated after a crash.
    """

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return one output for each input."""
        ...


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry of models.yaml: a small, picklable description, never the loaded model.

    Attributes:
        name: The model's name.
        version: The model's version, as text (quote it in YAML).
        adapter: The model's class as `package.module:Class`, or the short name of a shipped
            adapter, such as `spacy-ner`.
        options: Keyword arguments of the class's constructor.
        match: The fields, with their text or whole numbers, that a message must have for this
            model to answer it. If empty, the model answers every message.
        payload: The field that holds the model's input. If None, the input is the whole value.
        id_field: The field that identifies a message. The result copies it, whatever its JSON
            type, and has null if the message lacks it. If None, results have no such field.
        echo: More fields to copy into the result if the message has them; "all" copies every field.
        result: The result's field that holds the model's output.
        sample: An input that must always succeed. If it fails too, the model is considered down
            and the messages are not blamed.
        max_chars: The longest input, in characters; longer inputs become dead letters.
        max_batch_size: The largest number of inputs in one call to `predict_all`.
        max_seconds: The most seconds that one call to `predict_all` may take before its process is
            killed. An input that takes longer even alone becomes a dead letter.

    """

    name: Name
    version: Name
    adapter: Annotated[str, msgspec.Meta(pattern=r"^([\w.]+:\w+|[a-z0-9-]+)$")]
    sample: str
    result: str
    options: dict[str, Any] = {}
    match: dict[str, str | int] = {}
    payload: str | None = None
    id_field: str | None = "uuid"
    echo: tuple[str, ...] | Literal["all"] = ()
    max_chars: Positive = 1_000_000
    max_batch_size: Positive = 256
    max_seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 30.0

    @property
    def id(self) -> str:
        """Return `name:version`, as it appears in results and headers."""
        return f"{self.name}:{self.version}"


ModelLoader: TypeAlias = "Callable[[ModelSpec], Model]"
