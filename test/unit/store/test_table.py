"""A table's description is checked, and keys are read from text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidemill.errors import InvalidKey, InvalidTable
from tidemill.store.table import Table, verify

if TYPE_CHECKING:
    from tidemill.store.table import Key

GOOD: dict[str, Any] = {"name": "t", "key": ("id",), "columns": {"id": "integer", "a": "number"}}


class TestVerify:
    """What cannot be a table is an error that says why."""

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"name": "T"}, "name"),
            ({"name": "t; DROP TABLE x"}, "name"),
            ({"name": "t'"}, "name"),
            ({"name": ""}, "name"),
            ({"name": "x" * 41}, "name"),
            ({"name": "a__g1"}, "__g"),
            ({"name": "sqlite_x"}, "sqlite_"),
            ({"key": ()}, "no key"),
            ({"key": ("id", "id")}, "twice"),
            ({"key": ("a",)}, "text or integer"),
            ({"columns": {"a": "float"}}, "type"),
            ({"time": "id"}, "twice"),
            ({"time": "a", "version": "a"}, "twice"),
            ({"ttl": 0}, "ttl"),
            ({"keep": -1}, "keep"),
        ],
    )
    def test_bad(self, change: dict[str, Any], reason: str) -> None:
        """The name, the key, types, and columns that have two meanings."""
        with pytest.raises(InvalidTable) as caught:
            verify(Table(**GOOD | change))
        assert reason in caught.value.message

    def test_good(self) -> None:
        """Any columns have any names."""
        table = Table(**GOOD | {"columns": {"id": "integer", "class": "text", "a b": "json"}})
        assert verify(table) is table


class TestParseKey:
    """A key on the command line, or in a URL, is text."""

    @pytest.mark.parametrize(
        ("key", "columns", "text", "parsed"),
        [
            (("id",), {}, "007", "007"),
            (("id",), {}, "", ""),
            (("id",), {"id": "integer"}, "7", 7),
            (("id",), {"id": "integer"}, "-7", -7),
            (("a", "id"), {"id": "integer"}, '["x", 7]', ["x", 7]),
        ],
    )
    def test_parsed(self, key: Any, columns: Any, text: str, parsed: Key) -> None:  # noqa: ANN401
        """Text is itself, an integer is a number, several columns are a JSON array."""
        assert Table("t", key, columns).parse_key(text) == parsed

    @pytest.mark.parametrize(
        ("key", "text"),
        [(("id",), "x"), (("id",), "1.0"), (("id",), "true"), (("id",), ""), (("id",), "[1]")]
        + [
            (("a", "id"), text)
            for text in ("x", "7", '["x"]', '["x", "7"]', '{"a": 1}', "[" * 9999)
        ],
    )
    def test_refused(self, key: Any, text: str) -> None:  # noqa: ANN401
        """Anything else is an error that names the key."""
        with pytest.raises(InvalidKey):
            Table("t", key, {"id": "integer"}).parse_key(text)
