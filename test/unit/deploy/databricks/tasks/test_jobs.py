"""The settings of a deployed job fit the SDK, and the program that it runs."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from databricks.sdk.service.jobs import Job, JobsAPI, JobSettings

from deploy.databricks.deployment import typed
from deploy.databricks.documents import lost
from deploy.databricks.features.description import read_as
from deploy.databricks.tasks.description import COLUMNS, Description
from deploy.databricks.tasks.jobs import DeployedJob, settings
from tidemill.errors import InvalidParameters
from tidemill.tasks.databricks import program
from tidemill.tasks.databricks.feature_table import MERGE, Row, merge

if TYPE_CHECKING:
    from http_api import Json

FOLDER = Path(__file__).parents[5] / "deploy" / "databricks" / "tasks"
NAME = "fill-shelves"


@pytest.fixture
def described() -> Description:
    """The shipped description."""
    return read_as(FOLDER / "example.yaml", Description, "")


def arguments(deployed: Json, run: str, parameters: Json) -> list[str]:
    """Return the arguments of the program, with the references that Databricks replaces."""
    (task,) = deployed["tasks"]
    values = {
        "{{job.parameters.run}}": run,
        "{{job.parameters.parameters}}": json.dumps(parameters),
        "{{job.run_id}}": "17",
        "{{task.execution_count}}": "1",
    }
    given: list[str] = task["spark_python_task"]["parameters"]
    return [values.get(argument, argument) for argument in given]


class TestSdk:
    """The requests fit the methods and dataclasses of the SDK."""

    def test_both(self, cluster: dict[str, str], described: Description) -> None:
        """Each argument exists, and each payload survives the SDK's reading and writing of it."""
        wanted = settings(described, NAME, cluster)
        assert not list(lost(wanted, typed(wanted).as_dict()))
        job = DeployedJob(NAME, typed(wanted))
        (create,) = job.requests(None)
        inspect.signature(JobsAPI.create).bind(None, **create.arguments)
        assert create.shown() == {"method": "jobs.create"} | wanted
        found = JobSettings.from_dict(wanted | {"max_concurrent_runs": 1})
        (reset,) = job.requests(Job(job_id=5, settings=found))
        inspect.signature(JobsAPI.reset).bind(None, **reset.arguments)

    @pytest.mark.parametrize(("workers", "alone"), [("0", True), ("4", False)])
    def test_workers(
        self, workers: str, alone: bool, cluster: dict[str, str], described: Description
    ) -> None:
        """A cluster has no workers, unless the variables ask for them."""
        environ = cluster | ({} if alone else {"MIN_WORKERS": "1", "MAX_WORKERS": workers})
        (task,) = settings(described, NAME, environ)["tasks"]
        assert ("autoscale" not in task["new_cluster"]) == alone
        assert ("spark.master" in task["new_cluster"]["spark_conf"]) == alone


class TestProgram:
    """The program understands what the job passes."""

    def run(self, deployed: Json, run: str, parameters: Json) -> tuple[str, Row]:
        """Run it as Databricks does; return the table and the row."""
        kept: list[tuple[str, Row]] = []
        given = program._options(arguments(deployed, run, parameters))  # noqa: SLF001
        program.run(given, lambda table, row: kept.append((table, row)))
        return kept[0]

    def test_row(
        self,
        cluster: dict[str, str],
        described: Description,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """It runs the class, keeps a row by the run's id, and prints the result last."""
        fill = described.jobs[NAME].model_copy(
            update={"job": "long_jobs:Count", "options": {"factor": 3}}
        )
        counting = described.model_copy(update={"jobs": {NAME: fill}})
        deployed = settings(counting, NAME, cluster)
        table, row = self.run(deployed, "a1", {"steps": 2, "seconds": 0.0})
        assert (table, row) == ("main.shop.task_results", Row("a1", NAME, '{"steps":6}', 17))
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert lines == [
            {"progress": 0.5, "phrase": "step 1"},
            {"progress": 1, "phrase": "step 2"},
            {"result": {"steps": 6}},
        ]
        with pytest.raises(InvalidParameters, match="steps"):
            self.run(deployed, "a2", {})


class TestMerge:
    """A row is merged into the table."""

    def test_columns(self) -> None:
        """It has the columns that the deployed table has."""
        assert [name for name in COLUMNS if f"AS {name}" not in MERGE] == []
        assert set(Row._fields) < set(COLUMNS)

    def test_conflict(self) -> None:
        """Delta refuses one of two writes at once; that one is tried again."""
        asked: list[str] = []

        class Busy:
            def sql(self, statement: str, args: Json) -> None:
                asked.append(statement)
                if len(asked) < 3:
                    raise RuntimeError("[DELTA_CONCURRENT_APPEND] Transaction conflict")

        pauses: list[float] = []
        merge(Busy(), "main.a-b.t", Row("1", "j", "{}", 2), pauses.append)  # type: ignore[arg-type]
        assert (len(asked), len(pauses)) == (3, 2)
        assert asked[0].startswith("MERGE INTO `main`.`a-b`.`t` AS kept")

    @pytest.mark.parametrize(("problem", "tries"), [("no such table", 1), ("CONCURRENT", 10)])
    def test_failure(self, problem: str, tries: int) -> None:
        """Any other failure, or one too many, is the run's error."""
        asked: list[str] = []

        class Broken:
            def sql(self, statement: str, args: Json) -> None:
                asked.append(statement)
                raise RuntimeError(problem)

        row = Row("1", "j", "{}", 2)
        with pytest.raises(RuntimeError, match=problem):
            merge(Broken(), "a.b.c", row, lambda _: None)  # type: ignore[arg-type]
        assert len(asked) == tries
