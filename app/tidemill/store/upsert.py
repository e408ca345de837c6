"""Write what a stream produces: each message once, however often it is sent."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from tidemill.errors import UnknownTable
from tidemill.store.catalogue import POSITIONS, find, generations, insert, live_names, lock
from tidemill.store.database import MissingTable
from tidemill.store.merge import merge
from tidemill.store.rows import RowReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.store.database import Database
    from tidemill.store.rows import Row, StoredRow
    from tidemill.store.table import Table


class Change(NamedTuple):
    """A row that a stream writes, or deletes, with the offset and time of its message.

    The time, in milliseconds since 1970, counts if the table has no column for it. A row that is
    deleted needs only the columns of its key and time.
    """

    offset: int
    row: Row
    time: int
    deleted: bool = False


def upsert(
    database: Database,
    name: str,
    changes: Iterable[Change],
    source: tuple[str, int],
    version: str | None = None,
) -> int:
    """Write the changes that a topic's partition has, in the order of their offsets.

    Those that were written earlier are left out; return how many were not. All are
    written, with the position in the partition, in one transaction.

    Raises:
        UnknownTable: There is no such table.
        InvalidRow: A row does not have the table's columns. Its number is the message's offset.

    """
    label = "{}/{}".format(*source)
    with database.transaction() as connection:
        locked = lock(connection, name, shared=True)
        live = find(generations(connection, name), locked.live)
        if live is None:
            raise UnknownTable(name, live_names(connection))
        following = _lock_position(connection, name, label)
        new = sorted((c for c in changes if c.offset >= following), key=attrgetter("offset"))
        if new:
            reader = RowReader(live.table, version)
            merge(connection, live, _rows(reader, new, label, locked.newest, live.table))
            _move_position(connection, name, label, new[-1].offset + 1)
    return len(new)


def position(database: Database, name: str, source: tuple[str, int]) -> int:
    """Return the offset of a topic's partition that is written next; 0 if none was written."""
    query = sa.select(POSITIONS.c.next).where(*_this_position(name, "{}/{}".format(*source)))
    try:
        with database.reading() as connection:
            return connection.execute(query).scalar() or 0
    except MissingTable:
        return 0


def _rows(
    reader: RowReader, changes: Iterable[Change], source: str, epoch: int, table: Table
) -> list[dict[str, Any]]:
    """Return the rows to write, only the latest of each key, in the order of their keys.

    A statement cannot write a row twice, and transactions that write the same rows in the same
    order do not wait for one another in a circle.
    """
    latest: dict[Any, tuple[StoredRow, int]] = {}
    for offset, row, time, deleted in changes:
        stored = reader.read(offset, row, time, deleted=deleted)
        key = (stored.key, stored.time) if table.history else stored.key
        if key not in latest or stored.time >= latest[key][0].time:
            latest[key] = stored, offset
    return [
        {**stored._asdict(), "source": source, "position": offset, "epoch": epoch}
        for _, (stored, offset) in sorted(latest.items())
    ]


def _lock_position(connection: sa.Connection, name: str, source: str) -> int:
    """Return the offset to write next; whoever else wants to write this partition waits."""
    first = insert(connection, POSITIONS).values(name=name, source=source, next=0)
    connection.execute(first.on_conflict_do_nothing())
    query = sa.select(POSITIONS.c.next).where(*_this_position(name, source))
    following: int = connection.execute(query.with_for_update()).scalar_one()
    return following


def _move_position(connection: sa.Connection, name: str, source: str, following: int) -> None:
    moved = sa.update(POSITIONS).where(*_this_position(name, source))
    connection.execute(moved.values(next=following))


def _this_position(name: str, source: str) -> tuple[sa.ColumnElement[bool], ...]:
    return POSITIONS.c.name == name, POSITIONS.c.source == source
