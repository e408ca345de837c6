"""Feature tables: Delta tables in Unity Catalog, created and changed by SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from databricks.sdk.service.catalog import DataSourceFormat
from databricks.sdk.service.sql import ExecuteStatementRequestOnWaitTimeout

from deploy.databricks.features.errors import Differs
from deploy.databricks.features.requests import Request, or_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.catalog import PrimaryKeyConstraint, TableInfo

    from deploy.databricks.features.description import Table

FEED = "delta.enableChangeDataFeed"
# The longest that the API allows.
WAIT = "50s"


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """A feature table.

    Attributes:
        warehouse: The id of the SQL warehouse that creates and changes it.

    """

    table: Table
    warehouse: str

    @property
    def what(self) -> str:
        """Its kind and name."""
        return f"table {self.table.name}"

    def find(self, client: WorkspaceClient) -> TableInfo | None:
        """Return the table in Unity Catalog."""
        return or_none(lambda: client.tables.get(self.table.name))

    def requests(self, found: TableInfo | None) -> list[Request]:
        """Return the statements that create it, or add what it lacks.

        Raises:
            Differs: It has other types or another key.

        """
        if found and (problems := list(differences(self.table, found))):
            raise Differs(self.what, problems, "choose another name, or correct the description")
        statements = list(additions(self.table, found)) if found else [creation(self.table)]
        return [
            Request(
                "statement_execution.execute_statement",
                {
                    "statement": statement,
                    "warehouse_id": self.warehouse,
                    "wait_timeout": WAIT,
                    "on_wait_timeout": ExecuteStatementRequestOnWaitTimeout.CONTINUE,
                },
            )
            for statement in statements
        ]

    def waits_for(self, found: TableInfo | None) -> str | None:
        """Return None: a statement ends when the table is ready."""
        return None if found else "missing"


def creation(table: Table) -> str:
    """Return the statement that creates a table."""
    lines = [
        f"{_quoted(name)} {kind.upper()}{' NOT NULL' if name in table.key else ''}"
        for name, kind in table.columns.items()
    ]
    columns = ",\n  ".join([*lines, _constraint(table)])
    feed = f"\nTBLPROPERTIES ('{FEED}' = 'true')" if _follows(table) else ""
    return f"CREATE TABLE IF NOT EXISTS {_quoted(table.name)} (\n  {columns}\n)\nUSING DELTA{feed}"


def additions(table: Table, found: TableInfo) -> Iterator[str]:
    """Yield the statements that add what a table lacks."""
    alter = f"ALTER TABLE {_quoted(table.name)}"
    columns = {(column.name or "").lower(): column for column in found.columns or ()}
    new = {name: kind for name, kind in table.columns.items() if name.lower() not in columns}
    if new:
        listed = ", ".join(f"{_quoted(name)} {kind.upper()}" for name, kind in new.items())
        yield f"{alter} ADD COLUMNS ({listed})"
    if not _primary_key(found):
        for name in table.key:
            if columns[name.lower()].nullable is not False:
                yield f"{alter} ALTER COLUMN {_quoted(name)} SET NOT NULL"
        yield f"{alter} ADD {_constraint(table)}"
    if _follows(table) and (found.properties or {}).get(FEED, "").lower() != "true":
        yield f"{alter} SET TBLPROPERTIES ('{FEED}' = 'true')"


def differences(table: Table, found: TableInfo) -> Iterator[str]:
    """Yield why a table cannot become what is described by adding to it."""
    if found.data_source_format is not DataSourceFormat.DELTA:
        other = found.data_source_format or found.table_type
        yield f"it is no Delta table, but {other.value if other else 'unknown'}"
    kinds = {(c.name or "").lower(): (c.type_text or "").lower() for c in found.columns or ()}
    for name, kind in table.columns.items():
        has = kinds.get(name.lower())
        if has is None and name in table.key:
            yield f"it has no {name}, which is in the key"
        elif has is not None and has.replace(" ", "") != kind:
            yield f"{name} is {has}, not {kind}"
    if key := _primary_key(found):
        timeseries = [table.timeseries] if table.timeseries else []
        if not _same(key.child_columns, table.key):
            yield f"its primary key is {', '.join(key.child_columns)}, not {', '.join(table.key)}"
        elif not _same(key.timeseries_columns or [], timeseries):
            yield f"its timeseries columns are {key.timeseries_columns}, not {timeseries}"


def _same(names: list[str], others: list[str] | tuple[str, ...]) -> bool:
    return [name.lower() for name in names] == [name.lower() for name in others]


def _primary_key(found: TableInfo) -> PrimaryKeyConstraint | None:
    constraints = (c.primary_key_constraint for c in found.table_constraints or ())
    return next((key for key in constraints if key), None)


def _follows(table: Table) -> bool:
    """Return whether the online table follows the table's changes, not copies of all of it."""
    return table.online is not None and table.online.mode != "snapshot"


def _constraint(table: Table) -> str:
    key = [_quoted(name) for name in table.primary_key]
    key += [f"{_quoted(table.timeseries)} TIMESERIES"] if table.timeseries else []
    name = _quoted(f"{table.name.rpartition('.')[2]}_pk")
    return f"CONSTRAINT {name} PRIMARY KEY ({', '.join(key)})"


def _quoted(name: str) -> str:
    """Return a name for SQL; the description allows no backticks in names."""
    return ".".join(f"`{part}`" for part in name.split("."))
