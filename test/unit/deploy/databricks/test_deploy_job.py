"""Tests of the script that deploys the job to Databricks, against a stand-in for the Jobs API."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobs_api import EVERYWHERE, ON_AZURE, ON_GCP, TOKEN, VARIABLES, Fault

from deploy.databricks import deploy_job
from deploy.databricks.payload import fill_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs_api import Workspace

    Main = Callable[..., subprocess.CompletedProcess[str]]

SCRIPT = Path(__file__).parents[4] / "deploy" / "databricks" / "deploy-job.sh"


def run(
    environ: dict[str, str], *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script in a new process that has no other environment variables."""
    own = {"PATH": os.environ["PATH"], "PYTHON": sys.executable}
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env=own | environ,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def bare(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script's module in a Python that has no packages installed."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "deploy.databricks.deploy_job", *arguments],
        env=environ,
        cwd=SCRIPT.parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """Return a function that runs the script in this process: `main(environ, "--debug")`.

    A new process would need two seconds to import the SDK.
    """

    def run_here(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name in list(os.environ):
                patch.delenv(name)
            for name, value in environ.items():
                patch.setenv(name, value)
            code = deploy_job.main(arguments)
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run_here


class TestDryRun:
    """A dry run prints the request without contacting the workspace."""

    @pytest.mark.parametrize("options", [[], ["--continuous"]])
    def test_payload(self, options: list[str], tmp_path: Path) -> None:
        """Standard output has only the payload; neither host nor token is needed."""
        done = run(VARIABLES, "--dry-run", *options, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == fill_in(VARIABLES, continuous=bool(options))

    def test_no_network(self, environ: dict[str, str], workspace: Workspace) -> None:
        """A configured workspace gets no request, and the token is not shown."""
        done = run(environ, "--dry-run")
        assert done.returncode == 0
        assert not workspace.seen
        assert TOKEN not in done.stdout + done.stderr

    @pytest.mark.parametrize("password", ["pa55", 'pa"55', "{{secrets/scope/key}}"])
    def test_password(self, password: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A registry's password is not shown, unless it is a reference to a secret."""
        options = argparse.Namespace(dry_run=True, continuous=False)
        assert deploy_job.run(options, ON_AZURE | {"REGISTRY_PASSWORD": password}) == 0
        (task,) = json.loads(capsys.readouterr().out)["tasks"]
        shown = task["new_cluster"]["docker_image"]["basic_auth"]["password"]
        assert shown == (password if password.startswith("{{") else "***")

    def test_without_the_sdk(self) -> None:
        """A dry run needs no package."""
        assert bare(VARIABLES, "--dry-run").stdout == run(VARIABLES, "--dry-run").stdout != ""


class TestDeployment:
    """The script deploys, and prints the run's page."""

    def test_twice(self, main: Main, environ: dict[str, str], workspace: Workspace) -> None:
        """Standard output has the run's page; there is one job with one run."""
        workspace.looks_to_end = 0
        for _ in range(2):
            done = main(environ)
            (active,) = workspace.active()
            assert (done.returncode, done.stdout) == (0, f"{active['run_page_url']}\n")
            assert TOKEN not in done.stderr
        names = [settings["name"] for settings in workspace.jobs.values()]
        assert names.count(VARIABLES["CLUSTER_NAME"]) == 1

    @pytest.mark.parametrize("cloud", [ON_AZURE, ON_GCP], ids=["azure", "gcp"])
    def test_other_clouds(
        self, main: Main, cloud: dict[str, str], environ: dict[str, str], workspace: Workspace
    ) -> None:
        """Azure and Google Cloud work, too; the API gets the registry's password unchanged."""
        names = ("DATABRICKS_HOST", "DATABRICKS_API_TOKEN")
        password = {"REGISTRY_USERNAME": "puller", "REGISTRY_PASSWORD": "pa55"}
        done = main(cloud | password | {name: environ[name] for name in names})
        assert done.returncode == 0, done.stderr
        assert "pa55" not in done.stdout + done.stderr
        (task,) = list(workspace.jobs.values())[-1]["tasks"]
        image = task["new_cluster"]["docker_image"]
        assert image["url"] == cloud["IMAGE_NAME"]
        assert image["basic_auth"]["password"] == "pa55"

    def test_from_elsewhere(
        self, environ: dict[str, str], workspace: Workspace, tmp_path: Path
    ) -> None:
        """The script works in any folder, even if a module there has the SDK's name."""
        (tmp_path / "databricks.py").write_text("raise SystemExit('not me')")
        done = run(environ, cwd=tmp_path)
        (active,) = workspace.active()
        assert (done.returncode, done.stdout) == (0, f"{active['run_page_url']}\n")
        assert TOKEN not in done.stderr

    def test_busy(self, main: Main, environ: dict[str, str], workspace: Workspace) -> None:
        """While the API is busy, the script says that it waits."""
        workspace.faults.append(Fault("jobs/create", 503, headers={"Retry-After": "0"}))
        done = main(environ)
        assert done.returncode == 0
        assert "TEMPORARILY_UNAVAILABLE: later; trying again in " in done.stderr


class TestFailure:
    """A failure is one line on standard error, and an exit code other than 0."""

    def test_variables(self) -> None:
        """The line names every missing variable, whether the job or the workspace needs it."""
        done = run({})
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        wanted = ("DATABRICKS_HOST", "DATABRICKS_API_TOKEN", "IMAGE_NAME", "INSTANCE_TYPE")
        for name in (*wanted, *EVERYWHERE):
            assert done.stderr.count(name) == 1

    def test_misspelt_setting(self) -> None:
        """A misspelt setting is refused, even without packages, and its value is not shown."""
        environ = VARIABLES | {"TIDEMILL__STREAM__INPUT_TOPIC": "canary"}
        for done in (run(environ, "--dry-run"), bare(environ, "--dry-run")):
            assert (done.returncode, done.stdout) == (1, "")
            assert "no setting 'stream.input_topic', did you mean 'input_topics'?" in done.stderr
            assert "canary" not in done.stderr

    def test_refused(self, main: Main, environ: dict[str, str], workspace: Workspace) -> None:
        """The line has the API's message, with the token masked."""
        body = json.dumps({"error_code": "BAD", "message": f"no\nluck with {TOKEN}"})
        workspace.faults.append(Fault("jobs/create", 400, body=body))
        done = main(environ)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "deploy-job.sh: cannot set up the job: BAD: no luck with ***\n"

    def test_wrong_token(self, environ: dict[str, str]) -> None:
        """The API refuses a wrong token, which is not shown."""
        done = run(environ | {"DATABRICKS_API_TOKEN": "dapi-other"})
        assert done.returncode == 1
        assert "PERMISSION_DENIED: Invalid access token" in done.stderr
        assert "dapi-other" not in done.stderr
        assert done.stderr.count("\n") == 1

    def test_debug(self, main: Main, environ: dict[str, str], workspace: Workspace) -> None:
        """--debug prints the traceback, without the token."""
        body = json.dumps({"error_code": "BAD", "message": TOKEN})
        workspace.faults.append(Fault("jobs/create", 400, body=body))
        done = main(environ, "--debug")
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert TOKEN not in done.stderr

    @pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "inf"])
    def test_timeout(self, seconds: str) -> None:
        """A time-out must be a finite number that is not negative."""
        done = run(VARIABLES, "--dry-run", f"--timeout={seconds}")
        assert (done.returncode, done.stdout) == (2, "")
        assert "argument --timeout: invalid" in done.stderr

    def test_other_settings_of_the_sdk(self, main: Main, environ: dict[str, str]) -> None:
        """Other variables that the SDK reads have no effect."""
        others = {
            "DATABRICKS_AUTH_TYPE": "oauth-m2m",
            "DATABRICKS_TOKEN": "dapi-other",
            "DATABRICKS_CLIENT_ID": "x",
            "DATABRICKS_CONFIG_PROFILE": "none",
            "DATABRICKS_DEBUG_HEADERS": "true",
        }
        done = main(environ | others)
        assert done.returncode == 0, done.stderr

    def test_no_python(self) -> None:
        """A missing Python is an error that names it."""
        done = run({"PYTHON": "/no/such/python"}, "--dry-run")
        assert done.returncode == 1
        assert "there is no /no/such/python" in done.stderr

    def test_no_sdk(self, environ: dict[str, str]) -> None:
        """If the SDK is not installed, the error says so."""
        done = bare(environ)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "install databricks-sdk" in done.stderr

    def test_interrupted(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Ctrl-C prints no traceback."""

        def interrupt(*_: object) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(deploy_job, "run", interrupt)
        assert deploy_job.main([]) == 130
        assert capsys.readouterr().err.startswith("interrupted")
