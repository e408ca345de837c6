from __future__ import annotations

from typing import TYPE_CHECKING, Any

import features_sql
import pytest
from databricks.sdk.service.catalog import TableInfo
from hypothesis import given
from hypothesis import strategies as st

from deploy.databricks.features.description import Table
from deploy.databricks.features.errors import Differs
from deploy.databricks.features.tables import FeatureTable, creation

if TYPE_CHECKING:
    from http_api import Json

NAME = "main.shop.features"
ALTER = "ALTER TABLE `main`.`shop`.`features`"
COLUMNS = {"customer": "bigint", "spend": "decimal(10,2)", "updated": "timestamp"}


def table(**changes: Any) -> Table:  # noqa: ANN401 - JSON
    """Return the description of a table."""
    online = {"name": "main.shop.online", "mode": "continuous"}
    described = {"name": NAME, "columns": COLUMNS, "primary_key": ["customer"], "online": online}
    return Table.model_validate(described | {"timeseries": "updated"} | changes)


def catalogue(*statements: str) -> dict[str, Json]:
    """Return the tables of a warehouse after statements."""
    tables: dict[str, Json] = {}
    for statement in statements:
        features_sql.run(statement, tables, {"main.shop"})
    return tables


def statements(wanted: Table, found: Json) -> list[str]:
    """Return the statements that a table still needs."""
    requests = FeatureTable(wanted, "w1").requests(TableInfo.from_dict(found))
    return [request.arguments["statement"] for request in requests]


class TestCreation:
    """A table that does not exist is created."""

    def test_statement(self) -> None:
        """It has a primary key that ends with the time, and a feed of changes to follow."""
        assert creation(table()) == (
            "CREATE TABLE IF NOT EXISTS `main`.`shop`.`features` (\n"
            "  `customer` BIGINT NOT NULL,\n"
            "  `spend` DECIMAL(10,2),\n"
            "  `updated` TIMESTAMP NOT NULL,\n"
            "  CONSTRAINT `features_pk` PRIMARY KEY (`customer`, `updated` TIMESERIES)\n"
            ")\n"
            "USING DELTA\n"
            "TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
        )

    @pytest.mark.parametrize("online", [None, {"name": "main.shop.online", "mode": "snapshot"}])
    def test_no_feed(self, online: Json | None) -> None:
        """Copies of the whole table need no feed of its changes."""
        assert creation(table(online=online)).endswith("USING DELTA")

    @pytest.mark.parametrize("timeseries", ["updated", None])
    def test_twice(self, timeseries: str | None) -> None:
        """A table that was created needs nothing more."""
        wanted = table(timeseries=timeseries)
        assert statements(wanted, catalogue(creation(wanted))[NAME]) == []

    @given(
        types=st.dictionaries(
            st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True),
            st.sampled_from(["bigint", "double", "string", "decimal(38,18)", "array<float>"]),
            min_size=1,
        ),
        online=st.sampled_from([None, "triggered", "continuous", "snapshot"]),
    )
    def test_any(self, types: dict[str, str], online: str | None) -> None:
        """Any table, once created, is what was described."""
        wanted = Table.model_validate(
            {
                "name": NAME,
                "columns": types | {"Key": "string", "At": "date"},
                "primary_key": ["Key"],
                "timeseries": "At",
                "online": online and {"name": "main.shop.online", "mode": online},
            }
        )
        assert statements(wanted, catalogue(creation(wanted))[NAME]) == []


class TestAdditions:
    """A table that exists gets what it lacks, and keeps what it has."""

    def test_all(self) -> None:
        """Columns, key and feed are added; then nothing is left to do."""
        found = features_sql.table(
            NAME,
            [
                {"name": "Customer", "type_text": "bigint", "nullable": True},
                {"name": "updated", "type_text": "timestamp", "nullable": False},
                {"name": "other", "type_text": "string", "nullable": True},
            ],
            {},
        )
        found["columns"][0]["name"] = "customer"
        needed = statements(table(), found)
        assert needed == [
            f"{ALTER} ADD COLUMNS (`spend` DECIMAL(10,2))",
            f"{ALTER} ALTER COLUMN `customer` SET NOT NULL",
            f"{ALTER} ADD CONSTRAINT `features_pk` PRIMARY KEY (`customer`, `updated` TIMESERIES)",
            f"{ALTER} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
        ]
        for statement in needed:
            features_sql.run(statement, {NAME: found}, set())
        assert statements(table(), found) == []
        assert [column["name"] for column in found["columns"]][2] == "other"

    def test_case(self) -> None:
        """Columns whose names differ only in case are the same."""
        found = catalogue(creation(table()))[NAME]
        capital = {name.title(): kind for name, kind in COLUMNS.items()}
        wanted = table(columns=capital, primary_key=["Customer"], timeseries="Updated")
        assert statements(wanted, found) == []


class TestDifferences:
    """A table that would lose something is refused."""

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"columns": COLUMNS | {"spend": "double"}}, "spend is decimal(10,2), not double"),
            ({"primary_key": ["spend"]}, "primary key is customer, updated, not spend, updated"),
            ({"timeseries": None}, "primary key is customer, updated, not customer."),
            (
                {"columns": COLUMNS | {"new": "int"}, "primary_key": ["customer", "new"]},
                "it has no new, which is in the key",
            ),
        ],
    )
    def test_other(self, changes: Json, expected: str) -> None:
        """Other types and other keys are named."""
        with pytest.raises(Differs) as caught:
            statements(table(**changes), catalogue(creation(table()))[NAME])
        assert expected in str(caught.value)

    def test_time_is_no_timeseries(self) -> None:
        """A key with the time as an ordinary column is another key."""
        plain = creation(table()).replace(" TIMESERIES", "")
        with pytest.raises(Differs, match="timeseries columns are"):
            statements(table(), catalogue(plain)[NAME])

    @pytest.mark.parametrize("kind", [{"data_source_format": "PARQUET"}, {"table_type": "VIEW"}])
    def test_no_delta_table(self, kind: Json) -> None:
        """A view, or a table of another format, has neither key nor feed."""
        found = catalogue(creation(table()))[NAME] | {"data_source_format": None} | kind
        with pytest.raises(Differs, match=f"no Delta table, but {next(iter(kind.values()))}"):
            statements(table(), found)
