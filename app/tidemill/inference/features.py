"""Complete inputs with features from the store, with one query for each table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import msgspec

from tidemill.errors import (
    FeaturesMissing,
    InvalidKey,
    InvalidTime,
    MessageError,
    MissingField,
    StoreNotOpen,
    TidemillError,
    UnknownColumn,
)
from tidemill.inference.codec import Fields, decode_fields, is_present, minified
from tidemill.inference.headers import SOURCE_TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidemill.inference.model import Lookup, ModelSpec
    from tidemill.inference.request import Request

MAX_KEYS = 1000  # of one query
Key: TypeAlias = "str | int | tuple[str | int, ...]"
# A key, and the time in milliseconds as of which its row is wanted; None for the latest row.
Wanted: TypeAlias = "tuple[Key, int | None]"
# A table, and whether its rows are wanted as of a time: what one query reads.
Source: TypeAlias = "tuple[str, bool]"


class StoredRow(Protocol):
    """A row: a JSON object, and its time in milliseconds since 1970."""

    @property
    def data(self) -> str: ...
    @property
    def time(self) -> int: ...


class Rows(Protocol):
    """The rows of some keys in one generation of a table; None for a key without a row."""

    @property
    def generation(self) -> int: ...
    @property
    def rows(self) -> Sequence[StoredRow | None]: ...


class Table(Protocol):
    """What knows the type of a table's keys."""

    def encode_key(self, key: Key) -> object:
        """Raise InvalidKey unless the table can have this key."""


class FeatureStore(Protocol):
    """What `tidemill.store` offers to look-ups."""

    def table(self, name: str) -> Table:
        """Return a table."""

    def get(self, name: str, keys: Sequence[Key]) -> Rows:
        """Return the latest row of each key."""

    def as_of(self, name: str, keys: Sequence[tuple[Key, int]]) -> Rows:
        """Return the row that each key had at its time."""


class Completed(msgspec.Struct, frozen=True):
    """The input for the model, or why there is none; and the generation of each table read."""

    input: str | TidemillError | None
    features: dict[str, int] | None = None


# What completes the inputs of requests, in their order.
Complete: TypeAlias = "Callable[[Sequence[Request]], list[Completed]]"


class Answer(NamedTuple):
    """A row, and the generation that has it."""

    row: StoredRow | None
    generation: int


# What a query found, or why it failed: for one key, or for all of them.
Found: TypeAlias = "dict[Wanted, Answer | MessageError] | TidemillError"


class Draft(NamedTuple):
    """An input to complete, with the row that each of its look-ups wants.

    A look-up whose key the input lacks wants none.
    """

    spec: ModelSpec
    fields: Fields
    wanted: list[Wanted | None]


def as_they_are(requests: Sequence[Request]) -> list[Completed]:
    """Leave all inputs as they are, for a server that completes them."""
    return [Completed(request.input) for request in requests]


def without_store(requests: Sequence[Request]) -> list[Completed]:
    """Refuse the inputs that need features."""
    return [
        Completed(StoreNotOpen(request.spec.id) if needs_features(request) else request.input)
        for request in requests
    ]


def needs_features(request: Request) -> bool:
    """Tell whether an input has to be completed; a model's sample is complete."""
    return bool(request.spec.lookup) and request.input is not None


def complete(
    requests: Sequence[Request], store: FeatureStore, clock: Callable[[], float]
) -> list[Completed]:
    """Complete the inputs that need features; one query reads each table for all of them.

    An input that cannot be completed has a MessageError. If the store does not answer, the inputs
    that need it have that error. `clock` returns seconds since the epoch.
    """
    now = round(clock() * 1000)
    drafts = [_read(request, now) for request in requests]
    found = _fetch(store, [each for each in drafts if isinstance(each, Draft)])
    return [_merge(each, found, now) if isinstance(each, Draft) else each for each in drafts]


def _read(request: Request, now: int) -> Draft | Completed:
    if not needs_features(request):
        return Completed(request.input)
    spec = request.spec
    try:
        fields = decode_fields(request.input or "")
        wanted = [_wanted(each, fields, request.time or now) for each in spec.lookup]
    except MessageError as error:
        return Completed(error)
    return Draft(spec, fields, wanted)


def _wanted(lookup: Lookup, fields: Fields, time: int) -> Wanted | None:
    """Return the row that a look-up wants for some fields.

    Raises:
        MissingField, InvalidKey, InvalidTime: The fields do not say.

    """
    at = None if lookup.time is None else _time(lookup.time, fields, time)
    for name in lookup.key:
        if not is_present(fields, name):
            if lookup.default is None:
                raise MissingField(name, f"It is the key for the table {lookup.table}.")
            return None
    parts = tuple(_key(lookup, fields[name]) for name in lookup.key)
    return (parts if len(parts) > 1 else parts[0]), at


def _key(lookup: Lookup, value: msgspec.Raw) -> str | int:
    try:
        return _KEY.decode(value)
    except msgspec.MsgspecError:
        text = bytes(value).decode()
        raise InvalidKey(lookup.table, text, "it needs text or an integer") from None


def _time(field: str, fields: Fields, time: int) -> int:
    if field == SOURCE_TIMESTAMP:
        return time
    if not is_present(fields, field):
        raise MissingField(field)
    try:
        read = _TIME.decode(fields[field])
    except msgspec.MsgspecError:
        raise InvalidTime(field, bytes(fields[field]).decode()) from None
    if isinstance(read, int):
        return read
    return round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)


_KEY: msgspec.json.Decoder[str | int] = msgspec.json.Decoder(str | int)
_TIME: msgspec.json.Decoder[int | datetime] = msgspec.json.Decoder(int | datetime)


def _fetch(store: FeatureStore, drafts: Sequence[Draft]) -> dict[Source, Found]:
    keys: dict[Source, dict[Wanted, None]] = {}
    for draft in drafts:
        for lookup, wanted in zip(draft.spec.lookup, draft.wanted, strict=True):
            if wanted is not None:
                keys.setdefault(_source(lookup), {})[wanted] = None
    found: dict[Source, Found] = {}
    for source, wanted_keys in keys.items():
        try:
            found[source] = dict(_query(store, source, list(wanted_keys)))
        except TidemillError as error:
            found[source] = error
    return found


def _source(lookup: Lookup) -> Source:
    return lookup.table, lookup.time is not None


def _query(
    store: FeatureStore, source: Source, keys: Sequence[Wanted]
) -> Iterator[tuple[Wanted, Answer | MessageError]]:
    """Yield what a table has for each key. A key of the wrong type does not keep the others."""
    name, as_of = source
    table = store.table(name)
    good = []
    for wanted in keys:
        try:
            table.encode_key(wanted[0])
        except MessageError as error:
            yield wanted, error
        else:
            good.append(wanted)
    for start in range(0, len(good), MAX_KEYS):
        part = good[start : start + MAX_KEYS]
        try:
            rows = (
                store.as_of(name, [(key, at or 0) for key, at in part])
                if as_of
                else store.get(name, [key for key, _ in part])
            )
        except MessageError as error:  # the table's keys have just got another type
            yield from ((wanted, error) for wanted in part)
        else:
            for wanted, row in zip(part, rows.rows, strict=True):
                yield wanted, Answer(row, rows.generation)


def _merge(draft: Draft, found: dict[Source, Found], now: int) -> Completed:
    """Return an input with its features; a field that it has already stays."""
    spec, fields = draft.spec, draft.fields
    features: Fields = {}
    generations: dict[str, int] = {}
    try:
        for lookup, wanted in zip(spec.lookup, draft.wanted, strict=True):
            row = None
            if wanted is not None:
                row, generations[lookup.table] = _answer(found[_source(lookup)], wanted)
            features |= _features(lookup, row, wanted, now)
        if isinstance(spec.payload, tuple):
            names = dict.fromkeys((*spec.payload, *features))
            fields = {name: fields[name] for name in names if name in fields}
        added = {name: value for name, value in features.items() if name not in fields}
        text = msgspec.json.encode(minified(fields | added)).decode()
    except TidemillError as error:
        return Completed(error, generations)
    return Completed(text, generations)


def _answer(found: Found, wanted: Wanted) -> Answer:
    if isinstance(found, TidemillError):
        raise found
    answer = found[wanted]
    if isinstance(answer, MessageError):
        raise answer
    return answer


def _features(lookup: Lookup, row: StoredRow | None, wanted: Wanted | None, now: int) -> Fields:
    """Return the fields that a look-up adds.

    Raises:
        FeaturesMissing: There is no row, or it is too old, and the entry has no default.
        UnknownColumn: The table does not have a column that the entry names.

    """
    key, at = wanted or (None, None)
    is_old = (
        row is not None
        and lookup.max_age is not None
        and row.time < (now if at is None else at) - lookup.max_age * 1000
    )
    if row is None or is_old:
        if lookup.default is None:
            raise FeaturesMissing(lookup.table, key, lookup.max_age if is_old else None)
        return {
            name: msgspec.Raw(msgspec.json.encode(value)) for name, value in lookup.default.items()
        }
    values = decode_fields(row.data)
    if lookup.columns is None:
        return values
    for column in lookup.columns:
        if column not in values:
            raise UnknownColumn(lookup.table, column, values)
    return {field: values[column] for column, field in lookup.columns.items()}
