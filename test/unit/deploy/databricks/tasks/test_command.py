"""The script that deploys tasks prints its plan, and sends it only if told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from jobs_api import TOKEN, Fault

from deploy.databricks.features import publication
from deploy.databricks.tasks import __main__ as command

if TYPE_CHECKING:
    from tasks_api import TasksWorkspace

FOLDER = Path(__file__).parents[5] / "deploy" / "databricks"
SCRIPT, EXAMPLE = FOLDER / "deploy-tasks.sh", FOLDER / "tasks" / "example.yaml"
TABLE, JOB = "table main.shop.task_results", "job fill-shelves"


class TestOffline:
    """A dry run without a workspace."""

    def test_script(self, cluster: dict[str, str]) -> None:
        """It prints all requests as JSON, and needs neither login nor warehouse."""
        own = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "HOME": "/nowhere"}
        done = subprocess.run(
            [str(SCRIPT), str(EXAMPLE), "--offline"],
            env=own | cluster,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert [request["what"] for request in json.loads(done.stdout)] == [TABLE, JOB]

    def test_variables(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Missing variables of the cluster are named, all at once."""
        for name in ("IMAGE_NAME", "INSTANCE_TYPE", "SPARK_VERSION"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("DATABRICKS_CLOUD", "azure")
        assert command.main([str(EXAMPLE), "--offline"]) == 1
        said = capsys.readouterr().err
        assert "set SPARK_VERSION, INSTANCE_TYPE, IMAGE_NAME in the environment" in said

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("table: results\njobs: {a: {job: 'm:C'}}", "table: "),
            ("table: main.shop.t\njobs: {}", "jobs: "),
            ("table: main.shop.t\njobs: {a: {job: m}}", "jobs.a.job: "),
            ("table: main.shop.t\njobs: {a: {job: 'm:C', slots: 1}}", "jobs.a.slots: there is no"),
        ],
    )
    def test_wrong(
        self, text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A description that is wrong names the place, and the page that explains it."""
        file = tmp_path / "tasks.yaml"
        file.write_text(text, "utf-8")
        assert command.main([str(file), "--offline"]) == 1
        said = capsys.readouterr().err
        assert problem in said
        assert "see docs/deploy/databricks-tasks.md" in said


class TestWorkspace:
    """With a workspace, the command reads it, and changes it only if asked to."""

    def test_dry_run_first(
        self,
        tasks_workspace: TasksWorkspace,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Without --apply nothing is sent; with it, what the dry run showed; then it is done."""
        monkeypatch.setattr(publication, "POLL_S", 0)
        plans = []
        for options, writes in ([], 0), (["--dry-run"], 0), (["--apply"], 2), ([], 2):
            assert command.main([str(EXAMPLE), *options]) == 0
            printed = capsys.readouterr()
            plans.append([request["what"] for request in json.loads(printed.out)])
            assert len(tasks_workspace.writes) == writes
            if writes and options:
                assert "job fill-shelves: its `job_id` is 105" in printed.err
        assert plans == [[TABLE, JOB], [TABLE, JOB], [TABLE, JOB], []]
        assert tasks_workspace.tables["main.shop.task_results"]["table_constraints"]

    def test_changed(
        self,
        tasks_workspace: TasksWorkspace,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A job that is described differently is changed, even if a response is lost."""
        monkeypatch.setattr(publication, "POLL_S", 0)
        assert command.main([str(EXAMPLE), "--apply"]) == 0
        document = yaml.safe_load(EXAMPLE.read_text("utf-8"))
        document["jobs"]["fill-shelves"]["options"] = {"deep": "x"}
        file = tmp_path / "tasks.yaml"
        file.write_text(yaml.safe_dump(document), "utf-8")
        headers = {"Retry-After": "0"}
        tasks_workspace.other.faults.append(Fault("jobs/reset", 503, done=True, headers=headers))
        assert command.main([str(file), "--apply"]) == 0
        (task,) = tasks_workspace.other.jobs[105]["tasks"]
        assert '{"deep": "x"}' in task["spark_python_task"]["parameters"]
        assert len(tasks_workspace.other.jobs) == 5

    def test_wrong_token(
        self,
        tasks_workspace: TasksWorkspace,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """A refused token gives the API's message in one line, without the token."""
        monkeypatch.setenv("DATABRICKS_TOKEN", f"{TOKEN}-wrong")
        assert command.main([str(EXAMPLE)]) == 1
        said = capsys.readouterr().err
        assert "PERMISSION_DENIED: Invalid access token" in said
        assert (TOKEN in said, said.count("\n")) == (False, 1)
