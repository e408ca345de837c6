"""Merge results into a feature table: a Delta table, which has a row for each run."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

# `deploy/databricks/tasks` creates the table with these columns, and the key `run`.
MERGE: Final = """\
MERGE INTO {table} AS kept
USING (
  SELECT
    :run AS run,
    :job AS job,
    :result AS result,
    current_timestamp() AS time,
    CAST(:databricks_run AS BIGINT) AS databricks_run
) AS new
ON kept.run = new.run
WHEN MATCHED THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *"""
TRIES: Final = 10
MAX_PAUSE_S: Final = 5.0


class Row(NamedTuple):
    """The result of a run, as JSON."""

    run: str
    job: str
    result: str
    databricks_run: int


def merge(
    spark: SparkSession, table: str, row: Row, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Write a row, or replace the one of the same run: a run may be repaired or repeated.

    Delta refuses one of two writes at the same time, which is then tried again.
    """
    name = ".".join(f"`{part}`" for part in table.replace("`", "").split("."))
    for left in reversed(range(TRIES)):
        try:
            spark.sql(MERGE.format(table=name), args=row._asdict())
        except Exception as error:
            if not left or "CONCURRENT" not in str(error).upper():
                raise
            sleep(random.uniform(0, MAX_PAUSE_S))  # noqa: S311 - no secret
        else:
            return
