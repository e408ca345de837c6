"""A query is read from JSON, or the error says what is wrong with it."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InvalidInput
from tidemill.packing.queries import parse

TIMES = st.datetimes(datetime(1678, 1, 1), datetime(2261, 12, 31))  # noqa: DTZ001 - no zone
DATES = "the field 'ds' must have dates such as 2026-01-31"
NAMES = st.sampled_from(["model_key", "ds", "x"])
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["model_key", "ds", "x"]), inner)
    ),
)


@given(TIMES, st.sampled_from(["T", " "]))
def test_dates(time: datetime, separator: str) -> None:
    """Dates and times become the nanoseconds that pandas counts."""
    text = time.isoformat(separator)
    query, is_row = parse(json.dumps({"model_key": "a", "ds": text}))
    assert is_row
    assert query.dates.tolist() == [pd.Timestamp(text).as_unit("ns").value]


@given(JSON)
def test_any_json(value: Any) -> None:  # noqa: ANN401 - JSON
    """Whatever the JSON is, there is a query or an error that concerns the input."""
    with suppress(InvalidInput):
        query, _ = parse(json.dumps(value))
        assert len(query.dates) > 0
        assert all(len(each) == len(query.dates) for each in query.columns.values())


def test_columns() -> None:
    """A number applies to all dates, a list to each; what is no number is not a number."""
    text = '{"model_key": 7, "ds": ["2026-01-31", "2026-02-01"], "x": 1, "y": [2, 3.5], "z": "a"}'
    query, is_row = parse(text)
    assert not is_row
    assert query.key == "7"
    assert query.column("x").tolist() == [1, 1]
    assert query.column("y").tolist() == [2, 3.5]
    assert np.isnan(query.columns["z"]).all()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("7", "the input must be a JSON object: Expected `object`, got `int`"),
        ("{", "the input must be a JSON object: Input data was truncated"),
        ('{"ds": "2026-01-31"}', "the field 'model_key' must name a model"),
        ('{"model_key": true, "ds": "2026-01-31"}', "the field 'model_key' must name a model"),
        ('{"model_key": "a"}', "the field 'ds' must be a date, or a list of dates"),
        ('{"model_key": "a", "ds": []}', "the field 'ds' must be a date, or a list of dates"),
        ('{"model_key": "a", "ds": 20260131}', "the field 'ds' must be a date, or a list of dates"),
        ('{"model_key": "a", "ds": "31.1.2026"}', f"{DATES}, not '31.1.2026'"),
        ('{"model_key": "a", "ds": ["2026-01-31", null]}', f"{DATES}, not None"),
        (
            '{"model_key": "a", "ds": ["2026-01-31T00:00Z"]}',
            "the date '2026-01-31T00:00Z' has a time zone; models only know local times",
        ),
        (
            '{"model_key": "a", "ds": "2262-01-01"}',
            "the date '2262-01-01' is not in the years from 1678 to 2261",
        ),
        (
            '{"model_key": "a", "ds": ["2026-01-31"], "x": [1, 2]}',
            "the field 'x' has 2 values, but 'ds' has 1",
        ),
    ],
)  # fmt: skip
def test_wrong(text: str, problem: str) -> None:
    """The error names the field and the value."""
    with pytest.raises(InvalidInput) as error:
        parse(text)
    assert str(error.value) == problem
