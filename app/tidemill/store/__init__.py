"""Keep features and predictions in a database, and look them up by key."""

from tidemill.store.reader import Rows, StoreRow
from tidemill.store.store import Loaded, Store
from tidemill.store.table import Key, Table
from tidemill.store.upsert import Change

__all__ = ["Change", "Key", "Loaded", "Rows", "Store", "StoreRow", "Table"]
