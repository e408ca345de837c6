"""Define the content of models.yaml as its author writes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from tidemill.inference.model import Positive, Seconds

Scalar: TypeAlias = str | int
FieldName = Annotated[str, msgspec.Meta(min_length=1)]
Path = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")]
Payload: TypeAlias = FieldName | Annotated[tuple[FieldName, ...], msgspec.Meta(min_length=1)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=100)]


class EntryError(Exception):
    """Something is wrong with a value of an entry; `path` leads to it."""

    def __init__(self, path: tuple[str | int, ...], problem: str) -> None:
        super().__init__(problem)
        self.path = path


class LimitsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one model may take.

    Attributes:
        chars: The longest input, in characters. A longer input becomes a dead letter.
        batch: The most inputs in one call of `predict_all`.
        seconds: The longest that one call may take. An input that takes longer even alone becomes a
            dead letter.
        memory: The memory that the loaded model takes, such as `200MiB`. By default it is measured.

    """

    chars: Positive = 1_000_000
    batch: Positive = 256
    seconds: Seconds = 30.0
    memory: str | Positive | None = None


class LookupEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the store whose columns complete the model's input.

    Attributes:
        table: The table's name.
        key: The field of the message that holds the key, or a list of several.
        columns: The columns to add. A mapping gives each column the name of its field. By default
            all are added.
        default: The fields for a message whose key has no row. By default it becomes a dead letter.
        max_age: How old a row may be: seconds, or a text such as `30 s`, `15 min`, `6 h` or `1 d`.
            An older row counts as missing.
        time: The field with the time as of which the row is wanted, in ISO 8601 or milliseconds
            since 1970, or `tidemill.source.timestamp` for the record's own time. By default the
            latest row is.

    """

    table: FieldName
    key: Payload
    columns: (
        Annotated[tuple[FieldName, ...], msgspec.Meta(min_length=1)]
        | Annotated[dict[FieldName, FieldName], msgspec.Meta(min_length=1)]
        | None
    ) = None
    default: dict[FieldName, Any] | None = None
    max_age: str | Annotated[float, msgspec.Meta(gt=0)] | None = None
    time: FieldName | None = None


class Loading(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an entry and its variants have in common.

    Attributes:
        name: The model's name. With `parameters` it may have placeholders, such as `{city}`.
        version: The model's version. Name and version identify a model in results and headers.
        adapter: The model's class as `package.module:Class`, or a shipped adapter.
        options: The keyword arguments of the class's constructor.
        artifact: The file, folder or URI to load. A relative path is relative to this file. The
            default of the adapter `mlflow` is `models:/NAME/VERSION`.
        device: `cpu` or `cuda`. By default the adapter decides.
        trust: `pickle` allows files that can run any code when they are loaded.
        payload: The field of a message that holds the model's input, or a list of several fields,
            which the model gets as one JSON object. By default the whole message is the input.
        sample: An input that must always succeed: text, or any other value. By default it is the
            model's own.
        schema: The JSON Schema of an input, or the path of a file with it. By default it is the
            model's own.
        lookup: The tables of the store whose columns complete the input.
        limits: What the model may take.

    """

    name: str | UnsetType = UNSET
    version: str | int | UnsetType = UNSET
    adapter: str | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET
    artifact: str | UnsetType = UNSET
    device: Literal["cpu", "cuda"] | UnsetType = UNSET
    trust: Literal["pickle"] | UnsetType = UNSET
    payload: Payload | UnsetType | None = UNSET
    sample: Any | UnsetType = UNSET
    schema: dict[str, Any] | str | UnsetType = UNSET
    lookup: tuple[LookupEntry, ...] | UnsetType = UNSET
    limits: LimitsEntry | UnsetType = UNSET


class VariantEntry(Loading, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A variant: whatever differs from its entry.

    Attributes:
        weight: The variant's share of the keys in percent. Variants without a weight share the rest
            equally.

    """

    weight: Weight | UnsetType = UNSET


class Entry(Loading, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model, or several that differ in their parameters.

    Attributes:
        match: The fields, with their text or whole numbers, that a message must have for this
            model to answer it.
        endpoint: The first part of the path under which servers answer for this model.
        parameters: The values that tell the models of an endpoint apart: a list for one model, a
            list of lists for several, or the values of each field for all combinations. They follow
            the endpoint in the path. A message leads to the same model if it has them in the
            endpoint's fields.
        id_field: The field that identifies a message, which every result copies.
        echo: More fields to copy into the result, or `all`.
        result: The result's field that holds the model's output.
        variants: The models that share the messages in an A/B test, by name.
        split_by: The field whose value decides the variant. By default the record's key does.
        salt: Change it to assign the keys to variants anew. By default it is the entry's name.

    """

    match: dict[str, Scalar] = {}
    endpoint: Path | None = None
    parameters: (
        tuple[Scalar | tuple[Scalar, ...], ...] | dict[FieldName, Scalar | tuple[Scalar, ...]]
    ) = ()
    id_field: str | None = "uuid"
    echo: tuple[str, ...] | Literal["all"] = ()
    result: FieldName = "prediction"
    variants: dict[str, VariantEntry] = {}
    split_by: FieldName | None = None
    salt: str | None = None


class ModelsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of models.yaml.

    Attributes:
        models: The entries.
        endpoints: For each endpoint, the fields of a message that hold its parameters, in order.

    """

    models: Annotated[tuple[Entry, ...], msgspec.Meta(min_length=1)]
    endpoints: dict[Path, tuple[FieldName, ...]] = {}
