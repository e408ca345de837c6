"""Tests of what `tidemill check` says about look-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidemill.bootstrap.check_features import check_features
from tidemill.errors import KeyMismatch, NoHistory, StoreUnavailable, UnknownColumn, UnknownTable
from tidemill.settings import Settings, StoreSettings
from tidemill.store.store import Store
from tidemill.store.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill.check import CheckResult

MODELS = """
models:
  - {{name: m, version: 1, adapter: "x:Y", sample: {{}}, lookup: [{lookup}]}}
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a store with the table `people`."""
    url = f"sqlite:///{tmp_path}/store.db"
    columns: Any = {"id": "text", "age": "integer"}
    with Store(url) as store:
        store.load(Table("people", ("id",), columns), [])
    return url


def check(folder: Path, url: str, lookup: str) -> list[CheckResult]:
    """Return the results for an entry with a look-up."""
    (folder / "models.yaml").write_text(MODELS.format(lookup=lookup))
    store = StoreSettings(url=url)
    return [*check_features(Settings(models=folder / "models.yaml", store=store))]


class TestCheck:
    """Before a start, each look-up is checked against the store."""

    def test_good(self, tmp_path: Path, url: str) -> None:
        """A table that has what is wanted shows its columns."""
        (result,) = check(tmp_path, url, "{table: people, key: id}")
        assert (result.subject, result.message) == ("features of m:1", "people has age")
        assert result.error is None

    @pytest.mark.parametrize(
        ("lookup", "error"),
        [
            ("{table: pets, key: id}", UnknownTable),
            ("{table: people, key: [id, age]}", KeyMismatch),
            ("{table: people, key: id, columns: [size]}", UnknownColumn),
            ("{table: people, key: id, time: at}", NoHistory),
        ],
    )
    def test_bad(self, tmp_path: Path, url: str, lookup: str, error: type[Exception]) -> None:
        """Whatever the store lacks is an error before a start."""
        (result,) = check(tmp_path, url, lookup)
        assert type(result.error) is error

    def test_no_store(self, tmp_path: Path) -> None:
        """A store that does not answer is an error; without look-ups nobody asks it."""
        down = "postgresql://nobody@127.0.0.1:1/none"
        (result,) = check(tmp_path, down, "{table: people, key: id}")
        assert type(result.error) is StoreUnavailable
        assert check(tmp_path, down, "") == []
