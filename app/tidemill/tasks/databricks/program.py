"""Run a job's class as a task of Databricks, and merge its result into a feature table.

It prints lines of JSON: progress as often as the job reports, and at last `{"result": …}`, which
`DatabricksJob` reads from the output of the run.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidemill.tasks.databricks.feature_table import Row, merge
from tidemill.tasks.job import Job
from tidemill.tasks.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_RESULT: Final = 16 * 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program; an error that it raises is that of the run in Databricks."""
    given = _options(arguments)
    run(given, _merge)


def run(given: argparse.Namespace, keep: Callable[[str, Row], None]) -> None:
    """Run the job, and keep its result in the table; then print it."""
    job = Job(given.job, getattr(given, "class"), json.loads(given.options))
    parameters = job.parse(given.parameters)
    report = Report(given.run, given.attempt, _print, MAX_RESULT)
    result = report.encode(job.make().run(parameters, report))
    keep(given.table, Row(given.run, given.job, result.decode(), given.databricks_run))
    _print({"result": msgspec.Raw(result)})


def _merge(table: str, row: Row) -> None:
    from pyspark.sql import SparkSession  # noqa: PLC0415 - only where Databricks brings it

    merge(SparkSession.builder.getOrCreate(), table, row)


def _print(message: dict[str, Any]) -> None:
    print(msgspec.json.encode(message).decode(), flush=True)  # noqa: T201 - the run's output


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run_task.py", description=__doc__)
    parser.add_argument("--job", required=True, help="the job's name")
    parser.add_argument("--class", required=True, help="its class, as module:Class")
    parser.add_argument("--options", default="{}", help="arguments of the class, as JSON")
    parser.add_argument("--parameters", default="{}", help="the task's parameters, as JSON")
    parser.add_argument("--table", required=True, help="the feature table, with its schema")
    parser.add_argument("--run", required=True, help="the key of the row")
    parser.add_argument("--databricks-run", required=True, type=int, help="the id in Databricks")
    parser.add_argument("--attempt", default=1, type=int, help="how often the task was begun")
    return parser.parse_args(arguments)
