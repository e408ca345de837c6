"""What follows a topic writes into the table as it is now."""

from __future__ import annotations

from tidemill.follow.writer import Writer
from tidemill.inference.message import Message
from tidemill.store.store import Store
from tidemill.store.table import Table


def test_delete_after_another_key(store: Store, url: str) -> None:
    """A record that deletes its key does so, though a load has changed the key's type since."""
    table = Table("users", ("id",), {"age": "integer"})
    store.load(table, [{"id": "a", "age": 1}])
    writer = Writer(store, "users", "topic", skip_invalid=False, pause=lambda _: True)
    writer.write(0, [Message(None, key=b"a", offset=0, timestamp=2**42)])
    with Store(url) as other:
        other.load(
            Table("users", ("id",), {"id": "integer", "age": "integer"}), [{"id": 7, "age": 1}]
        )
    writer.write(0, [Message(None, key=b"7", offset=1, timestamp=2**42)])
    assert store.get("users", [7]).rows == [None]
