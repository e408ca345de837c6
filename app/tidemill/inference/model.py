"""Define what a model is, and how an entry of models.yaml describes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Model(Protocol):
    """Any object with a method `predict_all`; it needs nothing from this package.

    `predict_all` returns one output for each input, in the same order. Each output is the text of
    one JSON value. Equal inputs must give equal outputs, because a batch is repeated after a crash.

    A model may also have three attributes: `sample`, an input that must always succeed, for an
    entry that has none; and `input_schema` and `output_schema`, the JSON Schemas (draft 2020-12) of
    one input and of one output.
    """

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return one output for each input."""
        ...


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one model may take.

    Attributes:
        chars: The longest input, in characters; longer inputs become dead letters.
        batch: The largest number of inputs in one call to `predict_all`.
        seconds: The most seconds that one call to `predict_all` may take before its process is
            killed. An input that takes longer even alone becomes a dead letter.
        memory: The bytes of memory that the loaded model takes. If None, they are measured.

    """

    chars: Positive = 1_000_000
    batch: Positive = 256
    seconds: Seconds = 30.0
    memory: Positive | None = None


class Lookup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the store whose columns complete an input.

    Attributes:
        table: The table's name.
        key: The fields of the input that hold the key, in the order of the table's key columns.
        columns: The columns to add, and the name of the field that each becomes. If None, all.
        default: The fields for a key without a row. If None, an input with such a key fails.
        max_age: The seconds after a row's time in which it counts; None for ever.
        time: The field with the time as of which the row is wanted, or the name of the header that
            holds a record's own time. If None, the latest row is wanted.

    """

    table: str
    key: tuple[str, ...]
    columns: dict[str, str] | None = None
    default: dict[str, Any] | None = None
    max_age: float | None = None
    time: str | None = None


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model: a small, picklable description, never the loaded model.

    Attributes:
        name: The model's name.
        version: The model's version.
        adapter: The model's class as `package.module:Class`, or the short name of a shipped
            adapter, such as `spacy-ner`.
        options: Keyword arguments of the class's constructor.
        artifact: The file, folder or URI that the adapter loads.
        device: The device that the model runs on. If None, the adapter decides.
        trust: `pickle` allows the adapter to load files that can run any code when they are loaded.
        match: The fields, with their text or whole numbers, that a message must have for this
            model to answer it. If empty, the model answers every message.
        payload: The field that holds the model's input, or several fields, which the model gets as
            one JSON object. If None, the input is the whole value.
        is_text: Whether the payload is text, which the model gets as it is. Otherwise, the model
            gets the payload as JSON.
        id_field: The field that identifies a message. The result copies it, whatever its JSON
            type, and has null if the message lacks it. If None, results have no such field.
        echo: More fields to copy into the result if the message has them; "all" copies every field.
        result: The result's field that holds the model's output.
        sample: An input that must always succeed. If it fails too, the model is considered down
            and the messages are not blamed. If None, the model has a sample of its own.
        schema: The JSON Schema of an input. If None, the model may have one of its own.
        limits: What the model may take.
        lookup: The tables of the store whose columns complete an input. With them, a request has
            the whole message as its input, and the payload is what the model gets of it.

    """

    name: Name
    version: Name
    adapter: Annotated[str, msgspec.Meta(pattern=r"^([\w.]+:\w+|[a-z0-9-]+)$")]
    sample: str | None = None
    result: str = "prediction"
    options: dict[str, Any] = {}
    artifact: str | None = None
    device: Literal["cpu", "cuda"] | None = None
    trust: Literal["pickle"] | None = None
    match: dict[str, str | int] = {}
    payload: str | tuple[str, ...] | None = None
    is_text: bool = True
    id_field: str | None = "uuid"
    echo: tuple[str, ...] | Literal["all"] = ()
    schema: dict[str, Any] | None = None
    limits: Limits = Limits()
    lookup: tuple[Lookup, ...] = ()

    @property
    def id(self) -> str:
        """Return `name:version`, as it appears in results and headers."""
        return f"{self.name}:{self.version}"

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the class's constructor."""
        loading = {"artifact": self.artifact, "device": self.device, "trust": self.trust}
        return {name: value for name, value in loading.items() if value} | self.options


ModelLoader: TypeAlias = "Callable[[ModelSpec], Model]"
