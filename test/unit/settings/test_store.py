"""The section `store`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidemill.bootstrap.store import open_store, tables
from tidemill.errors import ConfigurationError, InvalidSettings, InvalidStoreUrl, InvalidTable
from tidemill.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.settings import Settings

    Load = Callable[..., Settings]

CANARY = "canary-3b7a"


class TestUrl:
    """The database is named without a password."""

    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql://user:{CANARY}@host/db",
            f"postgresql://user:{CANARY}/@:x@host/db",
            f"postgresql://:{CANARY}@[bad",
            f"postgresql://user@host/db?password={CANARY}",
            f"postgresql://user@host/db?sslkey=k&sslpassword={CANARY}",
        ],
    )
    def test_password(self, load: Load, url: str) -> None:
        """One with a password is refused, without showing it."""
        with pytest.raises(InvalidSettings) as caught:
            load(store={"url": url})
        assert "store.password_file" in str(caught.value)
        assert CANARY not in str(caught.value) + caught.value.hint

    @pytest.mark.parametrize(
        "url", ["", "store.db", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "sqlite:///"]
    )
    def test_impossible(self, url: str) -> None:
        """Another database, one in memory, or none is refused."""
        with pytest.raises(InvalidStoreUrl):
            open_store(StoreSettings(url=url))


class TestTables:
    """Tables are described in the settings."""

    def test_described(self, load: Load) -> None:
        """A key of one column needs no list."""
        entry = {"key": "id", "columns": {"id": "integer", "age": "number or null"}, "ttl": 60}
        table = tables(load(store={"tables": {"users": entry}}).store)["users"]
        assert (table.name, table.key, table.ttl, table.keep) == ("users", ("id",), 60, 2)

    @pytest.mark.parametrize(
        "change",
        [
            {"key": []},
            {"columns": {}},
            {"columns": {"a": "float"}},
            {"ttl": 0},
            {"keep": -1},
            {"colums": {}},
        ],
    )
    def test_wrong(self, load: Load, change: dict[str, Any]) -> None:
        """A wrong value or a misspelt name is named."""
        entry = {"key": "id", "columns": {"a": "number"}}
        with pytest.raises(ConfigurationError) as caught:
            load(store={"tables": {"users": entry | change}})
        assert "store.tables.users" in str(caught.value)

    def test_name(self, load: Load) -> None:
        """So is a name that a database could not have."""
        entry = {"key": "id", "columns": {"a": "number"}}
        with pytest.raises(InvalidTable):
            tables(load(store={"tables": {"User's": entry}}).store)
