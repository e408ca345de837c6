"""Complete inputs with features from the store; what a message has already stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from tidemill.errors import (
    FeaturesMissing,
    MessageError,
    StoreNotOpen,
    TidemillError,
    UnknownColumn,
)
from tidemill.inference.codec import Fields, decode_fields, encode_fields
from tidemill.inference.feature_keys import wanted_row
from tidemill.inference.feature_query import Answer, Wanted, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidemill.inference.feature_query import FeatureStore, StoredRow
    from tidemill.inference.model import Lookup, ModelSpec
    from tidemill.inference.request import Request


class Completed(msgspec.Struct, frozen=True):
    """An input for a model, or why there is none, and the generation of each table it is from.

    `features` is None unless the model's entry looks features up.
    """

    input: str | TidemillError | None
    features: dict[str, int] | None = None


# What completes the inputs of requests, in their order.
Complete: TypeAlias = "Callable[[Sequence[Request]], list[Completed]]"


class Draft(NamedTuple):
    """An input to complete, and the row that each look-up of its model wants, if it has a key."""

    spec: ModelSpec
    fields: Fields
    wanted: list[Wanted | None]


def complete(
    requests: Sequence[Request], store: FeatureStore, clock: Callable[[], float]
) -> list[Completed]:
    """Complete the inputs that need features; one query reads each table for all of them.

    An input that cannot be completed has a MessageError. If the store is down or lacks a table,
    the inputs that need it have that error. `clock` returns seconds since the epoch.
    """
    now = round(clock() * 1000)
    drafts = [_read(request, now) for request in requests]
    wanted = (row for each in drafts if isinstance(each, Draft) for row in each.wanted if row)
    found = fetch(store, wanted)
    return [_merge(each, found, now) if isinstance(each, Draft) else each for each in drafts]


def as_they_are(requests: Sequence[Request]) -> list[Completed]:
    """Leave all inputs as they are, for a server that completes them."""
    return [Completed(request.input) for request in requests]


def without_store(requests: Sequence[Request]) -> list[Completed]:
    """Refuse the inputs that need features."""
    return [
        Completed(StoreNotOpen(request.spec.id) if needs_features(request) else request.input)
        for request in requests
    ]


def no_features() -> Complete:
    """Return `without_store`: what workers call if no entry looks features up."""
    return without_store


def needs_features(request: Request) -> bool:
    """Tell whether an input has to be completed; a model's sample is complete."""
    return bool(request.spec.lookup) and request.input is not None


def _read(request: Request, now: int) -> Draft | Completed:
    if not needs_features(request):
        return Completed(request.input)
    time = now if request.time is None else request.time
    try:
        fields = decode_fields(request.input or "")
        wanted = [wanted_row(each, fields, time) for each in request.spec.lookup]
    except MessageError as error:
        return Completed(error)
    return Draft(request.spec, fields, wanted)


def _merge(draft: Draft, found: Mapping[Wanted, Answer | TidemillError], now: int) -> Completed:
    spec, fields = draft.spec, draft.fields
    features: Fields = {}
    generations: dict[str, int] = {}
    try:
        for lookup, wanted in zip(spec.lookup, draft.wanted, strict=True):
            row = None
            if wanted is not None:
                answer = found[wanted]
                if isinstance(answer, TidemillError):
                    raise answer
                row, generations[lookup.table] = answer
            features |= _features(lookup, row, wanted, now)
        if isinstance(spec.payload, tuple):
            names = dict.fromkeys((*spec.payload, *features))
            fields = {name: fields[name] for name in names if name in fields}
        # The message's fields come first, and win.
        text = encode_fields({**fields, **features, **fields})
    except TidemillError as error:
        return Completed(error, generations)
    return Completed(text, generations)


def _features(lookup: Lookup, row: StoredRow | None, wanted: Wanted | None, now: int) -> Fields:
    """Return the fields that a look-up adds.

    Raises:
        FeaturesMissing: There is no row, or it is too old, and the entry has no default.
        UnknownColumn: The table does not have a column that the entry names.

    """
    until = now if wanted is None or wanted.time is None else wanted.time
    is_old = bool(row and lookup.max_age and row.time < until - lookup.max_age * 1000)
    if row is None or is_old:
        if lookup.default is None:
            key = wanted and wanted.key
            raise FeaturesMissing(lookup.table, key, lookup.max_age if is_old else None)
        return {name: _raw(value) for name, value in lookup.default.items()}
    columns = decode_fields(row.data)
    if lookup.columns is None:
        return columns
    for name in lookup.columns:
        if name not in columns:
            raise UnknownColumn(lookup.table, name, columns)
    return {field: columns[name] for name, field in lookup.columns.items()}


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
