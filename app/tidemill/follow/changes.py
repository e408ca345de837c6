"""Turn records into changes of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.errors import InvalidKey, InvalidRow
from tidemill.store.upsert import Change

if TYPE_CHECKING:
    from tidemill.inference.message import Message
    from tidemill.store.table import Table


def to_change(table: Table, record: Message) -> Change:
    """Return what a record changes: its value is a row; without a value it deletes its key.

    Raises:
        InvalidRow: A record without a value has no key that the table can have.

    """
    offset, time = record.offset or 0, record.timestamp or 0
    if record.value is not None:
        return Change(offset, record.value, time)
    if record.key is None:
        raise InvalidRow(table.name, offset, "it has neither a value nor a key")
    try:
        key = table.parse_key(record.key.decode())
    except (InvalidKey, UnicodeDecodeError) as error:
        raise InvalidRow(table.name, offset, error) from None
    parts = list(key) if isinstance(key, list | tuple) else [key]
    row: dict[str, object] = dict(zip(table.key, parts, strict=True))
    if table.time is not None:
        row[table.time] = time
    if table.version is not None:
        row[table.version] = ""
    return Change(offset, row, time, deleted=True)
