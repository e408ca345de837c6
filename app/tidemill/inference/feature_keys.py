"""Read from an input which rows of the store it wants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import InvalidKey, InvalidTime, MissingField
from tidemill.inference.codec import is_present
from tidemill.inference.feature_query import Wanted
from tidemill.inference.headers import SOURCE_TIMESTAMP

if TYPE_CHECKING:
    from tidemill.inference.codec import Fields
    from tidemill.inference.model import Lookup

MAX_TIME = 10**15  # milliseconds: in 30,000 years, and far within what databases hold
_KEY: msgspec.json.Decoder[str | int] = msgspec.json.Decoder(str | int)
_TIME: msgspec.json.Decoder[int | datetime] = msgspec.json.Decoder(int | datetime)


def wanted_row(lookup: Lookup, fields: Fields, record_time: int) -> Wanted | None:
    """Return the row that a look-up wants for an input; None if the input has no key.

    Raises:
        MissingField: The input lacks the time; or the key, and the entry has no default.
        InvalidKey, InvalidTime: A field does not hold what it must.

    """
    time = None if lookup.time is None else _time(lookup.time, fields, record_time)
    for name in lookup.key:
        if not is_present(fields, name):
            if lookup.default is None:
                raise MissingField(name, f"The key for the table {lookup.table} must be there.")
            return None
    parts = tuple(_key(lookup, fields[name]) for name in lookup.key)
    return Wanted(lookup.table, parts if len(parts) > 1 else parts[0], time)


def _key(lookup: Lookup, value: msgspec.Raw) -> str | int:
    try:
        return _KEY.decode(value)
    except msgspec.MsgspecError:
        text = bytes(value).decode()
        raise InvalidKey(lookup.table, text, "it needs text or an integer") from None


def _time(field: str, fields: Fields, record_time: int) -> int:
    if field == SOURCE_TIMESTAMP:
        return record_time
    if not is_present(fields, field):
        raise MissingField(field)
    try:
        time = _TIME.decode(fields[field])
    except msgspec.MsgspecError:
        raise InvalidTime(field, bytes(fields[field]).decode()) from None
    if not isinstance(time, int):
        return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    if abs(time) > MAX_TIME:
        raise InvalidTime(field, str(time))
    return time
