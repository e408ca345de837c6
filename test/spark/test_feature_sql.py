from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from databricks.sdk.service.catalog import TableInfo
from pyspark.errors import ParseException

from deploy.databricks.features.description import Table
from deploy.databricks.features.tables import additions, creation
from deploy.databricks.tasks.description import COLUMNS
from tidemill.tasks.databricks.feature_table import MERGE, Row

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TYPES = ("bigint", "decimal(10,2)", "array<float>", "timestamp_ntz", "binary", "string")
TABLE = Table.model_validate(
    {
        "name": "main.a-schema.select",
        "columns": {"Key": "string", "at": "date"} | {f"c{n}": k for n, k in enumerate(TYPES)},
        "primary_key": ["Key"],
        "timeseries": "at",
        "online": {"name": "main.shop.online", "mode": "continuous"},
    }
)


class TestFeatureSql:
    """Spark's own parser reads the statements for feature tables on Databricks."""

    def test_parses(self, spark: SparkSession) -> None:
        """All is Spark's SQL, except for the word that Databricks added to primary keys."""
        columns = [{"name": name, "type_text": TABLE.columns[name]} for name in TABLE.key]
        bare = TableInfo.from_dict({"data_source_format": "DELTA", "columns": columns})
        statements = [creation(TABLE), *additions(TABLE, bare)]
        assert len(statements) == 6
        parser = spark._jsparkSession.sessionState().sqlParser()  # noqa: SLF001 - no public parser
        for statement in statements:
            parser.parsePlan(statement.replace(" TIMESERIES", ""))
        with pytest.raises(ParseException, match="TIMESERIES"):
            parser.parsePlan(statements[0])


class TestMerge:
    """Spark reads the statement that keeps the result of a task, too."""

    def test_parses(self, spark: SparkSession) -> None:
        """It is Spark's SQL, and its row has the columns of the table."""
        parser = spark._jsparkSession.sessionState().sqlParser()  # noqa: SLF001 - no public parser
        parser.parsePlan(MERGE.format(table="`main`.`shop`.`task_results`"))
        select = MERGE.partition("USING (")[2].partition(") AS new")[0]
        row = Row("a1", "fill", '{"é": [1]}', 2**40)
        found = spark.sql(select, args=row._asdict())
        assert dict(found.dtypes) == COLUMNS
        assert found.drop("time").collect()[0].asDict() == row._asdict()
