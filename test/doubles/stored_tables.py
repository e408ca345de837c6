"""Tables for tests of look-ups through a server."""

from __future__ import annotations

from tidemill.store.store import Store
from tidemill.store.table import Table

CUSTOMERS = Table(
    "customers",
    key=("customer",),
    columns={
        "age": "integer or null",
        "score": "number",
        "gold": "boolean",
        "city": "text",
        "extra": "json",
    },
    time="at",
)
SALES = Table(
    "sales", key=("country", "item"), columns={"item": "integer", "count": "integer"}, time="at"
)
ITEMS = Table("items", key=("id",), columns={"id": "integer", "price": "number"}, ttl=3600)
AT = 1_795_000_000_000
ADA = {"age": 36, "score": 0.5, "gold": True, "city": "Zürich", "extra": {"a": [4.5]}}
HOSTILE = ("", "a/b", "é ?#%&", "' OR 1=1; DROP TABLE customers__g1; --", "..", "a\nb", "*")
FULL = [
    {"customer": "ada", "at": AT} | ADA,
    {"customer": "bob", "at": AT} | ADA | {"age": 7, "gold": False},
    {"customer": "new", "at": AT} | ADA | {"age": None},
    *({"customer": key, "at": AT} | ADA for key in HOSTILE),
]


def fill(url: str) -> None:
    """Load tables into a store."""
    with Store(url) as store:
        store.load(CUSTOMERS, FULL, version="2026-11")
        store.load(SALES, [{"country": "FR", "item": -7, "count": 3, "at": AT}])
        store.load(ITEMS, [{"id": number, "price": number / 2} for number in range(1000)])
