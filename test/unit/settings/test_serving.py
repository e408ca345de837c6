"""Tests of the section `serving`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tidemill.settings import ServingSettings


def test_tables() -> None:
    """By default no table is served; names are a list."""
    assert ServingSettings().tables == ()
    assert ServingSettings(tables=["users", "items_*"]).tables == ("users", "items_*")
    with pytest.raises(ValidationError):
        ServingSettings(tables="users")
