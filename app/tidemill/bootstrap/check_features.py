"""Check that the store has what entries of models.yaml look up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.bootstrap.features import opened_store
from tidemill.check import CheckResult, failed
from tidemill.errors import KeyMismatch, NoHistory, TidemillError, UnknownColumn
from tidemill.inference.route import all_specs
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.inference.model import Lookup
    from tidemill.settings import Settings
    from tidemill.store.store import Store
    from tidemill.store.table import Table


def check_features(settings: Settings) -> Iterator[CheckResult]:
    """Check each look-up of each model; nothing if no entry has one."""
    try:
        specs = all_specs(catalogue.load_models(settings.models))
    except TidemillError:
        return  # another check says so
    lookups = [(spec.id, each) for spec in specs for each in spec.lookup]
    if not lookups:
        return
    try:
        with opened_store(settings.store) as store:
            for model, lookup in lookups:
                yield _check(store, model, lookup)
    except TidemillError as error:
        yield failed("store", error)


def _check(store: Store, model: str, lookup: Lookup) -> CheckResult:
    subject = f"features of {model}"
    try:
        table = store.table(lookup.table)
        _require_fit(table, lookup)
    except TidemillError as error:
        return failed(subject, error)
    columns = table.value_columns if lookup.columns is None else lookup.columns
    return CheckResult(subject, f"{lookup.table} has {', '.join(columns)}")


def _require_fit(table: Table, lookup: Lookup) -> None:
    """Require that a table has what a look-up wants.

    Raises:
        KeyMismatch, NoHistory, UnknownColumn: It has not.

    """
    if len(table.key) != len(lookup.key):
        raise KeyMismatch(table.name, table.key, len(lookup.key))
    if lookup.time is not None and not table.history:
        raise NoHistory(table.name)
    for column in lookup.columns or ():
        if column not in table.value_columns:
            raise UnknownColumn(table.name, column, table.value_columns)
