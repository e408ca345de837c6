"""Open the store that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.store.store import Store
from tidemill.store.table import Table, verify

if TYPE_CHECKING:
    from tidemill.settings import StoreSettings


def open_store(settings: StoreSettings) -> Store:
    """Return the store. It connects when it is first used; the caller closes it.

    Raises:
        InvalidStoreUrl: There can be no database at the URL.

    """
    password = settings.password.get_secret_value() if settings.password else None
    return Store(settings.url, password=password, timeout=settings.timeout)


def tables(settings: StoreSettings) -> dict[str, Table]:
    """Return the tables that the settings describe, by name.

    Raises:
        InvalidTable: One cannot exist.

    """
    return {
        name: verify(Table(name=name, **table.model_dump()))
        for name, table in settings.tables.items()
    }
