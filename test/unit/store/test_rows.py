"""Rows are checked, and keep their digits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InvalidRow
from tidemill.store.infer import infer
from tidemill.store.rows import RowReader
from tidemill.store.table import Table

if TYPE_CHECKING:
    from tidemill.store.rows import Row

TABLE = Table(
    "t",
    ("id",),
    {
        "text": "text",
        "int": "integer",
        "num": "number or null",
        "any": "json",
        "more": "json or null",
    },
    time="at",
    version="model",
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class TestRead:
    """A row of JSON and one of Python give the same."""

    def test_digits(self) -> None:
        """Any JSON stays as it is written, white space aside; other columns are left out."""
        line = (
            b'{"id": "a", "text": "\\u00e9", "int": 1, "any": {"x":1.50}, "model": "m:1", "at": 5}'
        )
        row = RowReader(TABLE).read(1, line, 0)
        assert row == (
            "a",
            5,
            "m:1",
            '{"text":"é","int":1,"num":null,"any":{"x":1.50},"more":null}',
        )

    @given(
        st.fixed_dictionaries(
            {
                "id": st.text(st.characters(codec="utf-8", exclude_characters="\0")),
                "text": st.text(),
                "int": st.integers(-(2**63), 2**63 - 1),
                "num": st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_infinity=False),
                "any": JSON,
                "model": st.text(st.characters(codec="utf-8", exclude_characters="\0")),
                "at": st.just(5),
            }
        )
    )
    def test_both_forms(self, row: dict[str, Any]) -> None:
        """NaN of a DataFrame is null."""
        reader = RowReader(TABLE)
        plain = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        parsed = reader.read(1, msgspec.json.encode(plain), 5)
        converted = reader.read(1, row, 5)
        assert parsed[:3] == converted[:3] == (row["id"], 5, row["model"])
        assert parsed.data is not None
        assert converted.data is not None
        values = {name: plain.get(name) for name in TABLE.columns}
        assert msgspec.json.decode(parsed.data) == msgspec.json.decode(converted.data) == values

    @pytest.mark.parametrize(
        "change",
        [
            {"int": True},
            {"int": 1.5},
            {"int": None},
            {"text": None},
            {"num": "1"},
            {"num": math.inf},
            {"id": 1},
            {"id": "a\0"},
            {"model": 1},
            {"model": "a\0"},
            {"model": "\ud800"},
            {"at": "yesterday"},
            {"at": 2**63},
        ],
    )
    def test_wrong(self, change: dict[str, Any]) -> None:
        """A value of another type is an error with the row's number, whatever the row's form."""
        row = {"id": "a", "text": "", "int": 1, "any": 0, "model": "m", "at": 5}
        reader = RowReader(TABLE)
        reader.read(1, row, 5)
        with pytest.raises(InvalidRow) as caught:
            reader.read(7, row | change, 5)
        assert "row 7" in caught.value.message


class TestInfer:
    """Columns follow from the first rows."""

    def test_types(self) -> None:
        """Null and missing values make a column optional, mixed ones make it JSON."""
        rows: list[Row] = [
            b'{"id": 1, "i": 1, "f": 1, "s": "", "b": true, "l": [], "m": 1, "n": null}',
            b"",
            {"id": 2, "i": None, "f": 1.5, "s": "", "b": False, "l": {}, "m": "x"},
        ]
        table, kept = infer("t", ("id", "other"), rows)
        assert list(kept) == rows
        assert table.columns == {
            "id": "integer",
            "other": "text",
            "i": "integer or null",
            "f": "number",
            "s": "text",
            "b": "boolean",
            "l": "json",
            "m": "json",
            "n": "json or null",
        }

    def test_no_object(self) -> None:
        """A row that is no object is named."""
        with pytest.raises(InvalidRow) as caught:
            infer("t", ("id",), [b"{}", b"[]"])
        assert "row 2" in caught.value.message
